"""The default of a setting stands in finkray/settings and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from finkray.settings.catalogs import RemoteSettings
from finkray.settings.model import Settings

ROOT = Path(__file__).parents[4]

PACKAGES = ("actors", "catalogs", "finkray", "jobs", "sim", "ui")

NEUTRAL = (None, "", 0, (), {}, float("inf"))
"""Without a meaning of their own: no bound, nothing given, nothing counted yet."""

OTHER_MEANING = {
    ("sim/ztf/alerts.py", "alerts_per_visit"),  # a sky that is made in milliseconds, for tests
    ("sim/lsst/alerts.py", "alerts_per_visit"),
    ("sim/broker/kafka.py", "partitions"),  # of a topic of a test, as Kafka itself has it
}


def setting_names() -> set[str]:
    sections: list[type[BaseModel]] = [
        type(getattr(Settings(), name)) for name in Settings.model_fields
    ]
    names = {name for section in [*sections, RemoteSettings] for name in section.model_fields}
    return names - {"timeout_s"}  # any wait has one


def literal_defaults(source: str) -> Iterator[tuple[str, str]]:
    """Name and text of each default of a parameter or a field that is written as a value."""
    for node in ast.walk(ast.parse(source)):
        pairs: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.ClassDef):
            pairs = [
                (line.target.id, line.value)
                for line in node.body
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            ]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args.posonlyargs + node.args.args
            with_default = given[len(given) - len(node.args.defaults) :]
            pairs = [
                (arg.arg, value)
                for arg, value in zip(with_default, node.args.defaults, strict=True)
            ]
            pairs += [
                (arg.arg, value)
                for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            ]
        for name, value in pairs:
            if value is not None and is_a_value(value):
                yield name, ast.unparse(value)


def is_a_value(node: ast.expr) -> bool:
    """Whether it is written out: a name, an attribute or a call says where it comes from."""
    try:
        return ast.literal_eval(node) not in NEUTRAL
    except ValueError:
        return isinstance(node, ast.BinOp)


def test_no_default_of_a_setting_is_written_a_second_time() -> None:
    names = setting_names()
    again = {
        (str(path.relative_to(ROOT)), name, text)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.parent != ROOT / "finkray" / "settings"
        for name, text in literal_defaults(path.read_text(encoding="utf-8"))
        if name in names
    }
    assert {found for found in again if found[:2] not in OTHER_MEANING} == set()
    assert {found[:2] for found in again} >= OTHER_MEANING, "an exception that is not needed"
