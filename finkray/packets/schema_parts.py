"""Make one text of a writer schema and the named types that it refers to."""

import json
from collections.abc import Callable
from typing import Any

from fastavro.repository import AbstractSchemaRepository, SchemaRepositoryError
from fastavro.schema import UnknownType, load_schema

from finkray.avro.parse import parse_writer_schema
from finkray.errors import SchemaError

_MARKS = ("__fastavro_parsed", "__named_schemas")
"""Keys that fastavro adds to a schema that it has parsed."""

_DEFAULT = "default"
_HIDDEN_DEFAULT = "finkray.default"
"""The key of a default while fastavro puts the types together: under its own, fastavro refuses one
of the wrong type, which is no fault of a writer's schema (see `finkray.avro.parse`). Other keys of
a schema are kept as they are."""


def as_one_text(text: str, named_type: Callable[[str], str | None]) -> str:
    """Return the schema as a text that refers to no other; unchanged if it does not.

    Parameters
    ----------
    text
        the schema, JSON
    named_type
        returns the text of a named type by its full name, or None

    Raises
    ------
    SchemaError
        if the schema is not valid, or a named type is missing or not valid
    """
    try:
        parse_writer_schema(json.loads(text))
    except UnknownType:
        return _with_named_types(text, named_type)
    except Exception as error:
        raise SchemaError(f"not a valid Avro schema: {type(error).__name__} {error}") from error
    return text


def _with_named_types(text: str, named_type: Callable[[str], str | None]) -> str:
    try:
        whole: Any = load_schema("", repo=_NamedTypes(text, named_type))
    except UnknownType as error:
        raise SchemaError(f"the type {error.name} is not defined") from error
    except SchemaError:
        raise
    except Exception as error:
        raise SchemaError(f"not a valid Avro schema: {type(error).__name__} {error}") from error
    return json.dumps(
        _renamed(
            {key: value for key, value in whole.items() if key not in _MARKS},
            _HIDDEN_DEFAULT,
            _DEFAULT,
        )
    )


class _NamedTypes(AbstractSchemaRepository):
    def __init__(self, text: str, named_type: Callable[[str], str | None]) -> None:
        self._text = text
        self._named_type = named_type

    def load(self, name: str) -> Any:
        text = self._text if not name else self._named_type(name)
        if text is None:
            raise SchemaRepositoryError(f"{name} is not defined")
        return _renamed(json.loads(text), _DEFAULT, _HIDDEN_DEFAULT)


def _renamed(schema: Any, key: str, new_key: str) -> Any:
    """Return a schema whose fields and types have one key under another name."""
    if isinstance(schema, list):
        return [_renamed(branch, key, new_key) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    out = {new_key if name == key else name: value for name, value in schema.items()}
    for name in ("type", "items", "values", "fields"):
        if name in out:
            out[name] = _renamed(out[name], key, new_key)
    return out
