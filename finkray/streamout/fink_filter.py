"""Find what a filter of the package fink-filters reads, without importing the package.

    # blazar.toml
    fink = "fink_filters.ztf.livestream.filter_blazar.filter.blazar"
    [columns]
    cdsxmatch = "crossmatch.simbad_type"

The name is the one that Fink gives to the filter: module and function. The function's arguments are
columns by Fink's convention: of the packet; `c<column>c` of ZTF, the history and the current value
of a column as an array; and columns that Fink's own services add, for which `[columns]` names the
column of a service here. An alert lacks those that are not named, and is not judged.

The code of the package is someone else's. This process reads its text and never imports it; the
process of the filter does (`finkray.streamout.fink_child`).
"""

import ast
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from finkray.errors import FilterError

PACKAGE: Final = "fink_filters"

KEYS: Final = frozenset({"about", "fink", "columns", "sends", "arguments", "digest"})
"""Keys of a file with a filter of Fink. `arguments` and `digest` are added when it is published."""

BEFORE, NOW = "/before", "/now"
"""After the name of an argument: the columns of which a history with its current value is made."""

_NAME: Final = re.compile(rf"{PACKAGE}\.(ztf|rubin)(\.[A-Za-z_][A-Za-z0-9_]*){{2,6}}")
_SURVEYS: Final = {"ztf": "ztf", "rubin": "lsst"}

_HISTORY: Final = re.compile(
    r"c(jd|fid|magpsf|sigmapsf|magnr|sigmagnr|magzpsci|isdiffpos|diffmaglim)c"
)


@dataclass(frozen=True, slots=True)
class FinkFilter:
    """A filter of the package, as it was found.

    Attributes
    ----------
    function
        module and function
    survey
        whose alerts it judges
    arguments
        for each column that is read, its name: an argument, or a part of one
    needs
        services whose columns it reads: without their answers Fink's conventions would say false
    text
        of the file, with the arguments and a digest of the function's module
    about
        what it selects, in words
    """

    function: str
    survey: str
    arguments: Mapping[str, str]
    needs: tuple[str, ...]
    text: str
    about: str


def fink_filter(name: str, raw: Mapping[str, Any], text: str) -> FinkFilter:
    """Find a filter of the package.

    Parameters
    ----------
    name
        of the filter, for messages
    raw
        content of its file
    text
        of its file

    Raises
    ------
    FilterError
        if the name is none, or the package is not installed or lacks it
    """
    if unknown := sorted(set(raw) - KEYS):
        raise FilterError(f"{name}.toml: {unknown[0]} is not known beside fink")
    function = raw["fink"]
    if not isinstance(function, str) or not _NAME.fullmatch(function):
        raise FilterError(
            f"{name}.toml: fink = {function!r}; expected module and function, as "
            f'"{PACKAGE}.ztf.livestream.filter_blazar.filter.blazar"'
        )
    if "arguments" not in raw:
        arguments, about, digest = _found(name, function)
        head = f"arguments = {json.dumps(arguments)}\ndigest = {json.dumps(digest)}\n"
        text = head + text
    else:
        arguments, about = _published(name, raw["arguments"]), ""
    survey = _SURVEYS[function.split(".")[1]]
    columns = _columns(name, raw.get("columns", {}), arguments)
    services = [column.partition(".")[0] for column in columns.values()]
    return FinkFilter(
        function=function,
        survey=survey,
        arguments=_read_columns(arguments, columns, survey),
        needs=tuple(dict.fromkeys(services)),
        text=text,
        about=str(raw.get("about", about)).partition("\n")[0],
    )


def arguments_of(columns: Iterable[str]) -> list[str]:
    """Return the arguments that columns are of, in their order."""
    return list(dict.fromkeys(each.removesuffix(BEFORE).removesuffix(NOW) for each in columns))


def _found(name: str, function: str) -> tuple[list[str], str, str]:
    """Return arguments and first line of a function of the package, and a digest of its module."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FilterError(
            f"{name}.toml needs the package fink-filters, which is not installed: install it "
            "beside finkray, or in a folder that PYTHONPATH names"
        )
    *module, wanted = function.split(".")[1:]
    path = Path(spec.origin).parent.joinpath(*module).with_suffix(".py")
    try:
        source = path.read_bytes()
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError) as error:
        raise FilterError(f"{name}.toml: {function} cannot be read: {error}") from error
    functions = {line.name: line for line in tree.body if isinstance(line, ast.FunctionDef)}
    if wanted not in functions:
        raise FilterError(
            f"{name}.toml: {path.name} has no function {wanted}; it has: {', '.join(functions)}"
        )
    about = ast.get_docstring(functions[wanted]) or ast.get_docstring(tree) or ""
    arguments = [each.arg for each in functions[wanted].args.args]
    return arguments, about.strip(), hashlib.sha256(source).hexdigest()[:12]


def _published(name: str, arguments: Any) -> list[str]:
    """Return the arguments that were added when a filter was published, checked."""
    if isinstance(arguments, list) and all(isinstance(each, str) for each in arguments):
        return arguments
    raise FilterError(f"{name}.toml: arguments = {arguments!r}; leave them out: they are found")


def _columns(name: str, columns: Any, arguments: Sequence[str]) -> Mapping[str, str]:
    """Return the columns of services for arguments, checked."""
    if not isinstance(columns, Mapping) or not all(
        isinstance(column, str) and "." in column for column in columns.values()
    ):
        raise FilterError(
            f"{name}.toml: [columns] gives columns of services for arguments, as "
            'cdsxmatch = "crossmatch.simbad_type"'
        )
    if unknown := sorted(set(columns) - set(arguments)):
        raise FilterError(
            f"{name}.toml: [columns] names {unknown[0]}, which is no argument; there are: "
            f"{', '.join(arguments)}"
        )
    return columns


def _read_columns(
    arguments: Sequence[str], columns: Mapping[str, str], survey: str
) -> Mapping[str, str]:
    read: dict[str, str] = {}
    for argument in arguments:
        history = _HISTORY.fullmatch(argument) if survey == "ztf" else None
        if argument in columns or history is None:
            read[argument] = columns.get(argument, argument)
        else:
            read[argument + BEFORE] = f"prv_candidates.{history[1]}"
            read[argument + NOW] = f"candidate.{history[1]}"
    return read
