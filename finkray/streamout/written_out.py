"""Write an Avro schema out: each named type where it is used, under a short name of its own.

A projection may leave out the field in which a type was defined that a later field refers to, and
fink-client's bulk transfer takes no references. Documentation is left out: with it a schema, which
is in each message of a topic in Fink's form, has 21 kB for ZTF and 38 kB for LSST, without it 9 and
22 kB. The binary form of a record stays the same.
"""

from collections.abc import Iterator
from typing import Any, Final

_NAMED: Final = ("record", "error", "enum", "fixed")
_LOGICAL: Final = ("logicalType", "precision", "scale")

_JSON_OF: Final[dict[str, type | tuple[type, ...]]] = {
    "boolean": bool,
    "int": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "string": str,
}
"""The types in JSON of defaults, by primitive Avro type."""


def written_out(schema: Any) -> Any:
    """Return a schema without references to named types, documentation and invalid defaults.

    Parameters
    ----------
    schema
        decoded JSON of a valid schema
    """
    return _Writer().write(schema, "")


def without_logical_types(schema: Any) -> Any:
    """Return a schema whose logical types are the types beneath; the binary form stays the same.

    Parameters
    ----------
    schema
        decoded JSON, written out
    """
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, str):
        return schema
    plain = {key: value for key, value in schema.items() if key not in _LOGICAL}
    if "fields" in plain:
        plain["fields"] = [
            {**field, "type": without_logical_types(field["type"])} for field in plain["fields"]
        ]
    for key in ("items", "values"):
        if key in plain:
            plain[key] = without_logical_types(plain[key])
    return plain["type"] if len(plain) == 1 else plain


class _Writer:
    def __init__(self) -> None:
        self._known: dict[str, tuple[dict[str, Any], str]] = {}
        self._taken: set[str] = set()

    def write(self, schema: Any, namespace: str) -> Any:
        if isinstance(schema, list):
            return [self.write(branch, namespace) for branch in schema]
        if isinstance(schema, str):
            known = self._find(schema, namespace)
            return schema if known is None else self.write(*known)
        avro_type = schema["type"]
        if not isinstance(avro_type, str) or self._find(avro_type, namespace):
            return self.write(avro_type, namespace)
        if avro_type in _NAMED:
            return self._write_named(schema, namespace)
        below = {
            key: self.write(schema[key], namespace)
            for key in ("items", "values")
            if key in schema and avro_type in ("array", "map")
        }
        out = {"type": avro_type, **below} | {key: schema[key] for key in _LOGICAL if key in schema}
        return avro_type if len(out) == 1 else out

    def _find(self, name: str, namespace: str) -> tuple[dict[str, Any], str] | None:
        full_names = (name,) if "." in name or not namespace else (f"{namespace}.{name}", name)
        return next((self._known[each] for each in full_names if each in self._known), None)

    def _write_named(self, schema: dict[str, Any], namespace: str) -> dict[str, Any]:
        name = schema["name"]
        inner = schema.get("namespace", namespace)
        if "." in name:
            inner, name = name.rsplit(".", 1)
        self._known[f"{inner}.{name}" if inner else name] = (schema, inner)
        out: dict[str, Any] = {"type": schema["type"], "name": self._unique(name)}
        if "fields" in schema:
            out["fields"] = [self._write_field(field, inner) for field in schema["fields"]]
        return out | {key: schema[key] for key in ("symbols", "size", *_LOGICAL) if key in schema}

    def _write_field(self, field: dict[str, Any], namespace: str) -> dict[str, Any]:
        avro_type = self.write(field["type"], namespace)
        out = {"name": field["name"], "type": avro_type}
        if "default" in field and _is_default(avro_type, field["default"]):
            out["default"] = field["default"]
        return out

    def _unique(self, name: str) -> str:
        candidates = _numbered(name)
        unique = next(each for each in candidates if each not in self._taken)
        self._taken.add(unique)
        return unique


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _is_default(avro_type: Any, value: Any) -> bool:
    """Return whether a value is a valid default; of records, lists and maps: an empty one.

    ZTF published schemas with `"default": null` of a `double`, which other readers refuse.
    """
    if isinstance(avro_type, list):
        return bool(avro_type) and _is_default(avro_type[0], value)
    if isinstance(avro_type, dict):
        if avro_type["type"] == "array":
            return bool(value == [])
        if avro_type["type"] == "map":
            return bool(value == {})
        avro_type = avro_type["type"]
    if avro_type == "null":
        return value is None
    if isinstance(value, bool) and avro_type != "boolean":
        return False
    return isinstance(value, _JSON_OF.get(avro_type, ()))
