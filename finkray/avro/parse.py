"""Parse the JSON of an Avro schema for reading with that schema itself.

A default stands in for a field that the writer's schema does not have. A message that is read with
the schema of its writer has all fields: a default of the wrong type is no reason to refuse it. ZTF
published such a schema, and other writers make them (`"default": null` of a `double`).

A decimal whose precision or scale is not valid is the type beneath, as the specification says of
invalid logical types; fastavro refuses the schema.
"""

import math
from typing import Any, Final

import fastavro

_UNUSED: Final = ("default", "aliases", "order")
"""Keys of fields and named types that only play a part in resolution to another schema, or in
sorting; fastavro checks them."""


def parse_writer_schema(schema: Any) -> Any:
    """Return a schema, decoded JSON, as `fastavro.parse_schema` does, without defaults and aliases.

    Raises
    ------
    Exception
        of fastavro, of several classes, if the schema is not valid
    """
    return fastavro.parse_schema(_without_unused(schema))


def _without_unused(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_unused(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in _UNUSED}
    if kept.get("logicalType") == "decimal" and not _is_valid_decimal(kept):
        del kept["logicalType"]
    for key in ("type", "items", "values", "fields"):
        if key in kept:
            kept[key] = _without_unused(kept[key])
    return kept


def _is_valid_decimal(schema: dict[str, Any]) -> bool:
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision:
        return False
    size = schema.get("size")
    if schema.get("type") != "fixed" or type(size) is not int:
        return precision > 0
    return 0 < precision <= (size * 8 - 1) * math.log10(2)
