"""A writer schema that names types which are written elsewhere, made into one text."""

import json
from collections.abc import Callable
from typing import Any

import fastavro
from fastavro.repository import AbstractSchemaRepository, SchemaRepositoryError
from fastavro.schema import UnknownType, load_schema

from finkray.errors import SchemaError

_MARKS = ("__fastavro_parsed", "__named_schemas")
"""What fastavro writes into a schema that it has understood."""


def as_one_text(text: str, part: Callable[[str], str | None]) -> str:
    """The schema as a text that needs no other; unchanged if it is one already.

    Parameters
    ----------
    text
        the schema, JSON
    part
        gives the text of a named type by its full name, or None

    Raises
    ------
    SchemaError
        if it is no valid schema, or a part is missing or not valid
    """
    try:
        fastavro.parse_schema(json.loads(text))
    except UnknownType:
        return _with_parts(text, part)
    except Exception as error:
        raise SchemaError(f"not a valid Avro schema: {type(error).__name__} {error}") from error
    return text


def _with_parts(text: str, part: Callable[[str], str | None]) -> str:
    try:
        whole: Any = load_schema("", repo=_Parts(text, part))
    except UnknownType as error:
        raise SchemaError(f"the type {error.name} is nowhere") from error
    except SchemaError:
        raise
    except Exception as error:
        raise SchemaError(f"not a valid Avro schema: {type(error).__name__} {error}") from error
    return json.dumps({key: value for key, value in whole.items() if key not in _MARKS})


class _Parts(AbstractSchemaRepository):
    def __init__(self, text: str, part: Callable[[str], str | None]) -> None:
        self._text = text
        self._part = part

    def load(self, name: str) -> Any:
        text = self._text if not name else self._part(name)
        if text is None:
            raise SchemaRepositoryError(f"{name} is nowhere")
        return json.loads(text)
