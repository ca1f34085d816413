"""Read a settings model from files and the environment, with errors that say what to do.

The settings themselves are defined in `finkray.settings.model` and the modules beside it.
"""

import difflib
import json
import re
import reprlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from finkray.errors import SettingsError

ENV_PREFIX: Final = "FINKRAY__"

SECRET_NAME: Final = re.compile(
    r"password|secret|token|jaas|ssl\.key\.pem|oauthbearer\.config|user\.info"
    r"|(account|access|sas|encryption)_key",
    re.IGNORECASE,
)
"""Keys whose values are never shown, as librdkafka, the registry's client, Spark and the clients of
object stores name them."""

_LOGIN_IN_URL: Final = re.compile(r"//[^/\s'\"]*@")

Model = TypeVar("Model", bound=BaseModel)
Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class _Layer:
    """Values from one source; a later layer overrides an earlier one."""

    name: str
    tables: Tables

    def sets(self, path: tuple[str, ...]) -> bool:
        """Return whether this layer sets the setting."""
        node: Any = self.tables
        for key in path:
            if not isinstance(node, Mapping) or key not in node:
                return False
            node = node[key]
        return True


def read_settings(
    model: type[Model], path: Path | None, env: Mapping[str, str], overrides: Tables
) -> Model:
    """Merge file, environment and overrides, and validate the whole.

    Parameters
    ----------
    model
        A model of sections, each a model of its own.
    path
        TOML or JSON file; None reads none.
    env
        Environment; names ``FINKRAY__SECTION__KEY`` are read.
    overrides
        ``{section: {key: value}}``.

    Raises
    ------
    SettingsError
        With one line for each error.
    """
    layers = (
        _Layer(str(path), _read_file(path) if path else {}),
        _Layer("environment", _read_environment(model, env)),
        _Layer("command", overrides),
    )
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merge(merged, layer.tables)
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        lines = _explain(model, error, layers, merged)
        raise SettingsError("\n".join(lines)) from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors of Windows begin with a mark
        tables = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8: {error}") from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    if not isinstance(tables, dict):
        raise SettingsError(f"{path}: expected tables, such as [kafka]")
    return tables


def _read_environment(model: type[BaseModel], env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Nest `FINKRAY__SECTION__KEY`; lists and tables are written as JSON."""
    tables: dict[str, dict[str, Any]] = {}
    for name in sorted(name for name in env if name.startswith(ENV_PREFIX)):
        section, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if not (section and separator and key):
            raise SettingsError(f"environment: {name}: expected {ENV_PREFIX}SECTION__KEY")
        value: Any = env[name]
        if value.startswith(("[", "{")) and _is_collection(model, section, key):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise SettingsError(f"environment: {name}: is not JSON: {error}") from None
        tables.setdefault(section, {})[key] = value
    return tables


def _is_collection(model: type[BaseModel], section: str, key: str) -> bool:
    fields = _fields(model, (section,))
    if key not in fields:  # perhaps a table that a section allows under any name
        return bool(fields)
    return isinstance(fields[key].default, tuple | list | dict)


def _fields(model: type[BaseModel], path: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the fields at a path of the model: those of a section, or the sections."""
    for key in path:
        field = model.model_fields.get(key)
        if field is None or not isinstance(field.annotation, type):
            return {}
        if not issubclass(field.annotation, BaseModel):
            return {}
        model = field.annotation
    return model.model_fields


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


def _explain(
    model: type[BaseModel],
    error: ValidationError,
    layers: tuple[_Layer, ...],
    merged: Mapping[str, Any],
) -> Iterator[str]:
    """Yield a line for each setting that is wrong, with the layer that set it."""
    reported: set[tuple[str, ...]] = set()
    for detail in error.errors(include_url=False):
        path = _known_path(detail, merged)
        if path in reported:
            continue
        reported.add(path)
        if not path:
            yield f"settings: {_expectation(detail)}"
            continue
        layer = next(layer for layer in reversed(layers) if layer.sets(path))
        if detail["type"] == "extra_forbidden":
            yield f"{layer.name}: {'.'.join(path)} is not known{_nearest(model, path)}"
        else:
            yield f"{layer.name}: {_subject(path, merged)}{_expectation(detail)}"


def _known_path(detail: ErrorDetails, merged: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the part of pydantic's location that the user wrote; the rest names union types."""
    path: list[str] = []
    node: Any = merged
    for key in detail["loc"]:
        if not isinstance(node, Mapping) or key not in node:
            break
        path.append(str(key))
        node = node[key]
    return tuple(path)


def _nearest(model: type[BaseModel], path: tuple[str, ...]) -> str:
    """Name the known key that is most similar: of this section first, then of all."""
    *section, key = path
    here = {name: ".".join([*section, name]) for name in _fields(model, tuple(section))}
    everywhere = {
        name: f"{table}.{name}" for table in model.model_fields for name in _fields(model, (table,))
    }
    for names in (here, everywhere):
        if close := difflib.get_close_matches(key, names, n=1):
            return f"; did you mean {names[close[0]]}?"
    return f"; known here: {', '.join(here)}" if here else ""


def _subject(path: tuple[str, ...], merged: Mapping[str, Any]) -> str:
    value: Any = merged
    for key in path:
        value = value[key]
    if isinstance(value, Mapping) and len(path) == 1:
        return f"[{path[0]}] "
    shown = "(not shown)" if SECRET_NAME.search(path[-1]) else _shown(value)
    return f"{'.'.join(path)} = {shown}: "


def _expectation(detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return f"expected {detail['loc'][-1]}, which is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "expected", 1)


def _shown(value: Any) -> str:
    """Return a value for a message, without what may be a secret."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    return _LOGIN_IN_URL.sub("//", reprlib.repr(value))
