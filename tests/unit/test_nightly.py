"""What is left to `make test-nightly` is held in small by a test that `make test` runs."""

import ast
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

CHECKOUT: Final = Path(__file__).parents[2]
MARK: Final = "pytest.mark.nightly"


def marks_in(node: ast.AST) -> list[ast.Call]:
    """Return the calls of the mark below a node."""
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) == MARK]


def nightly_tests() -> dict[str, list[str]]:
    """Return the smaller tests that each nightly test names, by its id without parameters."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((CHECKOUT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if f"{MARK}(" not in text:
            continue
        module, here = ast.parse(text), path.relative_to(CHECKOUT)
        functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
        marked = {f"{here}::{each.name}": marks_in(each) for each in functions}
        assert sum(map(len, marked.values())) == len(marks_in(module)), f"{here}: mark functions"
        for name, marks in marked.items():
            for mark in marks:
                found[name] += [ast.literal_eval(argument) for argument in mark.args]
    return found


NIGHTLY: Final = nightly_tests()


@pytest.mark.parametrize("nightly", NIGHTLY)
def test_a_nightly_test_names_smaller_ones_that_each_commit_runs(nightly: str) -> None:
    assert NIGHTLY[nightly], "it names none"
    for smaller in NIGHTLY[nightly]:
        assert smaller not in NIGHTLY
        path, _, name = smaller.partition("::")
        function = name.partition("[")[0]
        assert f"def {function}(" in (CHECKOUT / path).read_text(encoding="utf-8"), smaller
