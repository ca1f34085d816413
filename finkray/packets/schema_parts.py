"""Make one text of a writer schema and the named types that it refers to."""

import json
from collections.abc import Callable
from typing import Any

import fastavro
from fastavro.repository import AbstractSchemaRepository, SchemaRepositoryError
from fastavro.schema import UnknownType, load_schema

from finkray.errors import SchemaError

_MARKS = ("__fastavro_parsed", "__named_schemas")
"""Keys that fastavro adds to a schema that it has parsed."""


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
        fastavro.parse_schema(json.loads(text))
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
    return json.dumps({key: value for key, value in whole.items() if key not in _MARKS})


class _NamedTypes(AbstractSchemaRepository):
    def __init__(self, text: str, named_type: Callable[[str], str | None]) -> None:
        self._text = text
        self._named_type = named_type

    def load(self, name: str) -> Any:
        text = self._text if not name else self._named_type(name)
        if text is None:
            raise SchemaRepositoryError(f"{name} is not defined")
        return json.loads(text)
