'''Read a filter from a file, without running it: a function over columns, or an expression.

    # bright.py: the arguments' names are columns
    """New and bright."""
    def bright(magpsf, ndethist, classify__class):
        return (magpsf < 17) & (ndethist < 5)

    # bright.toml
    about = "New and bright."
    sql = "magpsf < 17 AND ndethist < 5"

    # blazar.toml: a filter of the package fink-filters
    fink = "fink_filters.ztf.livestream.filter_blazar.filter.blazar"

The code of a filter is someone else's: this process, which has the broker's secrets, never imports
it. What a filter reads is found in its text.
'''

import ast
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from finkray.errors import FilterError
from finkray.streamout.fink_filter import fink_filter
from finkray.streamout.watch_list import arguments_of

Language = Literal["python", "sql", "polars", "fink", "objects", "positions", "area"]
ColumnType = Literal["numpy", "pandas", "pyarrow", "polars"]

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""What a filter may be called: it is in names of topics, files and metrics."""

_TOML_KEYS: Final = {"about", "sql", "polars", "needs", "sends", "survey"}
_CONSTANTS: Final = ("NEEDS", "SENDS", "SURVEY", "COLUMNS_AS", "COLUMNS")
MAX_FILTER_BYTES: Final = 1_000_000

_NOT_PARSED: Final = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises for a text that is not valid, or is nested deeper than it can parse."""


@dataclass(frozen=True, slots=True)
class FilterFile:
    """A filter as it stands in its file.

    Attributes
    ----------
    name
        the stem of the file
    language
        what `text` is: Python, an expression, a name of fink-filters, or a watch list
    text
        of the file, or the expression
    function
        name of the function, of fink-filters with its module; empty for an expression
    arguments
        for each argument, or column of the expression, the name of the column as it is written
    columns_as
        what the function gets: arrays of numpy or pyarrow, series of pandas or polars
    about
        what it selects, in words
    needs
        results of services that an alert must have before it is judged
    sends
        services whose results are sent, though the filter may not read them
    survey
        the survey whose alerts it judges; None is every one
    """

    name: str
    language: Language
    text: str
    function: str
    arguments: Mapping[str, str]
    columns_as: ColumnType = "numpy"
    about: str = ""
    needs: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()
    survey: str | None = None

    @property
    def source(self) -> str | None:
        """What is stored of it in place of the text of its file; None if that text is enough.

        A filter of Fink is stored with its arguments: the package need not be there to list it.
        """
        return self.text if self.language == "fink" else None

    @property
    def version(self) -> str:
        """The first digits of the SHA-256 of what it does: another text is another version."""
        sends = [f"sends {name}" for name in self.sends]
        parts = (self.language, self.text, *self.needs, *sends, self.survey or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def read_filter(path: Path) -> FilterFile:
    """Read a filter from a `.py`, `.toml`, `.csv` or `.moc` file.

    Raises
    ------
    FilterError
        if there is no such file, or no filter in it: the message says what is wrong
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FilterError(f"{path} cannot be read: {error}") from error
    return filter_of_text(path.name, text)


def filter_of_text(file_name: str, text: str) -> FilterFile:
    """Return the filter in the text of a file of that name.

    Raises
    ------
    FilterError
        if there is none: the message says what is wrong
    """
    name, _, suffix = file_name.rpartition(".")
    if not NAME.fullmatch(name):
        raise FilterError(
            f"{file_name}: a filter is called as its file, with lower-case letters, digits and _"
        )
    if len(text) > MAX_FILTER_BYTES:
        raise FilterError(f"{file_name} has more than {MAX_FILTER_BYTES} bytes")
    if suffix == "py":
        return _python(name, text)
    if suffix == "toml":
        return _toml(name, text)
    if suffix in ("csv", "moc"):
        kind, arguments = arguments_of(file_name, text)
        language: Language = next(each for each in get_args(Language) if each == kind)
        return FilterFile(name, language, text, "", arguments, about=f"A watch list: {kind}.")
    raise FilterError(f"{file_name}: expected a file that ends with .py, .toml, .csv or .moc")


def _python(name: str, text: str) -> FilterFile:
    try:
        module = ast.parse(text)
    except _NOT_PARSED as error:
        raise FilterError(f"{name}.py is not valid Python: {error}") from error
    constants = _constants(name, module)
    function = _function(name, module)
    given = function.args
    if given.vararg or given.kwarg or given.defaults or any(given.kw_defaults):
        raise FilterError(
            f"{name}.py: an argument of {function.name} is a column, so it has no default, no * "
            "and no **"
        )
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    if not names:
        raise FilterError(f"{name}.py: {function.name} has no argument, so it reads no column")
    columns = constants.get("COLUMNS", {})
    if not isinstance(columns, dict) or not all(
        isinstance(part, str) for pair in columns.items() for part in pair
    ):
        raise FilterError(
            f'{name}.py: COLUMNS gives columns for arguments, as {{"mag": "candidate.magpsf"}}'
        )
    if unknown := sorted(set(columns) - set(names)):
        raise FilterError(f"{name}.py: COLUMNS names {unknown[0]}, which is no argument")
    columns_as = constants.get("COLUMNS_AS", "numpy")
    if columns_as not in get_args(ColumnType):
        raise FilterError(
            f"{name}.py: COLUMNS_AS = {columns_as!r}; expected one of "
            f"{', '.join(get_args(ColumnType))}"
        )
    docstring = ast.get_docstring(function) or ast.get_docstring(module) or ""
    return FilterFile(
        name=name,
        language="python",
        text=text,
        function=function.name,
        arguments={each: columns.get(each, each.replace("__", ".")) for each in names},
        columns_as=columns_as,
        about=docstring.partition("\n")[0],
        needs=_services(name, "NEEDS", constants.get("NEEDS", [])),
        sends=_services(name, "SENDS", constants.get("SENDS", [])),
        survey=_survey(name, constants.get("SURVEY")),
    )


def _constants(name: str, module: ast.Module) -> dict[str, Any]:
    found = {}
    for line in module.body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1:
            (target,) = line.targets
            if isinstance(target, ast.Name) and target.id in _CONSTANTS:
                try:
                    found[target.id] = ast.literal_eval(line.value)
                except (ValueError, TypeError):  # a list may be no key
                    raise FilterError(
                        f"{name}.py: {target.id} is computed; write its value, because the file is "
                        "read without running it"
                    ) from None
    return found


def _function(name: str, module: ast.Module) -> ast.FunctionDef:
    functions = [line for line in module.body if isinstance(line, ast.FunctionDef)]
    named = [each for each in functions if each.name == name]
    public = named or [each for each in functions if not each.name.startswith("_")]
    if len(public) == 1:
        return public[0]
    found = ", ".join(each.name for each in public) or "none"
    raise FilterError(
        f"{name}.py: expected one function, or one that is called {name}; found: {found}"
    )


def _toml(name: str, text: str) -> FilterFile:
    import polars as pl

    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FilterError(f"{name}.toml is not valid TOML: {error}") from error
    if "fink" in raw:
        return _fink(name, raw, text)
    if unknown := sorted(set(raw) - _TOML_KEYS):
        raise FilterError(
            f"{name}.toml: {unknown[0]} is not known; expected {', '.join(sorted(_TOML_KEYS))}"
        )
    languages: list[Language] = [each for each in ("sql", "polars") if each in raw]
    if len(languages) != 1:
        raise FilterError(f"{name}.toml: expected either sql or polars, with the expression")
    (language,) = languages
    expression = raw[language]
    if not isinstance(expression, str) or not expression.strip():
        raise FilterError(f"{name}.toml: {language} = {expression!r}; expected a text")
    columns = (
        _sql_columns(name, expression, pl)
        if language == "sql"
        else _polars_columns(name, expression)
    )
    if not columns:
        raise FilterError(f"{name}.toml: the expression reads no column")
    about = raw.get("about", "")
    if not isinstance(about, str):
        raise FilterError(f"{name}.toml: about = {about!r}; expected a text")
    return FilterFile(
        name=name,
        language=language,
        text=expression,
        function="",
        arguments={each: each for each in columns},
        columns_as="polars",
        about=about.partition("\n")[0],
        needs=_services(name, "needs", raw.get("needs", [])),
        sends=_services(name, "sends", raw.get("sends", [])),
        survey=_survey(name, raw.get("survey")),
    )


def _fink(name: str, raw: Mapping[str, Any], text: str) -> FilterFile:
    found = fink_filter(name, raw, text)
    return FilterFile(
        name=name,
        language="fink",
        text=found.text,
        function=found.function,
        arguments=found.arguments,
        columns_as="pandas",
        about=found.about,
        needs=found.needs,
        sends=_services(name, "sends", raw.get("sends", [])),
        survey=found.survey,
    )


def _sql_columns(name: str, expression: str, pl: Any) -> list[str]:
    try:
        return list(dict.fromkeys(pl.sql_expr(expression).meta.root_names()))
    except pl.exceptions.PolarsError as error:
        raise FilterError(f"{name}.toml: sql is no expression: {error}") from error


def _polars_columns(name: str, expression: str) -> list[str]:
    """Return the columns that `pl.col("…")` names; the expression is not evaluated here."""
    try:
        tree = ast.parse(expression, mode="eval")
    except _NOT_PARSED as error:
        raise FilterError(f"{name}.toml: polars is no expression: {error}") from error
    columns = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pl.col":
            argument = node.args[0] if len(node.args) == 1 else None
            if not isinstance(argument, ast.Constant) or type(argument.value) is not str:
                raise FilterError(
                    f'{name}.toml: {ast.unparse(node)}: expected one name, as pl.col("magpsf")'
                )
            columns.append(argument.value)
    return list(dict.fromkeys(columns))


def _services(name: str, key: str, services: Any) -> tuple[str, ...]:
    """Return names of services, checked; `key` is what the file calls them."""
    if not isinstance(services, Sequence) or isinstance(services, str):
        raise FilterError(f"{name}: {key} = {services!r}; expected a list, as ['classify']")
    if not all(isinstance(each, str) and each for each in services):
        raise FilterError(f"{name}: {key} = {services!r}; expected names of results of services")
    return tuple(dict.fromkeys(services))


def _survey(name: str, survey: Any) -> str | None:
    from finkray.surveys import SURVEYS

    if survey is not None and survey not in list(SURVEYS):  # it may be anything
        raise FilterError(f"{name}: survey = {survey!r}; expected {' or '.join(SURVEYS)}")
    return survey
