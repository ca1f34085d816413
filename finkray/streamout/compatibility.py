"""Check whether readers with a new schema can read messages of an old one, as Avro resolves them.

A topic's schema may gain fields that have a default and lose fields; a field may become wider (int
to long, float, double), and a union may gain branches. Everything else is refused: a subscriber
that takes the topic's newest schema could not read what is in the topic already.

Both schemas are written out (`finkray.streamout.written_out`), so there are no references. Names of
nested types are not compared, because writing out changes them.
"""

from collections.abc import Iterator
from typing import Any, Final

_PROMOTED: Final = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
"""Types that a reader's schema may have instead, by the type in the old schema."""


def compatibility_problems(new: Any, old: Any) -> list[str]:
    """Return why readers of the new schema cannot read messages of the old one; [] if they can.

    Parameters
    ----------
    new, old
        decoded JSON, written out
    """
    return list(_problems(new, old, ""))


def _problems(new: Any, old: Any, path: str) -> Iterator[str]:
    where = path or "the top"
    if isinstance(old, list):
        for branch in old:
            yield from _problems(new, branch, path)
    elif isinstance(new, list):
        if all(any(_problems(branch, old, path)) for branch in new):
            yield f"{where} was {_text(old)}, which the new {_text(new)} does not hold"
    elif _type(new) in _PROMOTED.get(_type(old), ()):
        return
    elif _type(new) != _type(old) or _logical(new) != _logical(old):
        yield f"{where} was {_text(old)} and would be {_text(new)}"
    else:
        yield from _problems_below(new, old, path)


def _problems_below(new: Any, old: Any, path: str) -> Iterator[str]:
    """Yield the problems of two schemas of one type."""
    where = path or "the top"
    match _type(new):
        case "record":
            yield from _record_problems(new, old, path)
        case "array":
            yield from _problems(new["items"], old["items"], f"{path}[]")
        case "map":
            yield from _problems(new["values"], old["values"], f"{path}[]")
        case "enum":
            if lost := [symbol for symbol in old["symbols"] if symbol not in new["symbols"]]:
                yield f"{where} would lose the symbol {lost[0]}"
        case "fixed":
            if new["size"] != old["size"]:
                yield f"{where} was of {old['size']} bytes and would be of {new['size']}"


def _record_problems(new: Any, old: Any, path: str) -> Iterator[str]:
    before = {field["name"]: field for field in old["fields"]}
    for field in new["fields"]:
        name = f"{path}.{field['name']}" if path else field["name"]
        if field["name"] in before:
            yield from _problems(field["type"], before[field["name"]]["type"], name)
        elif "default" not in field:
            yield f"{name} would be new, without a default for the messages that lack it"


def _type(schema: Any) -> str:
    avro_type = schema if isinstance(schema, str) else schema["type"]
    return "record" if avro_type == "error" else str(avro_type)


def _logical(schema: Any) -> tuple[Any, ...]:
    if not isinstance(schema, dict) or "logicalType" not in schema:
        return ()
    return tuple(schema.get(key) for key in ("logicalType", "precision", "scale"))


def _text(schema: Any) -> str:
    if isinstance(schema, list):
        return f"union of {', '.join(map(_text, schema))}"
    return " ".join([_type(schema), *(f"({part})" for part in _logical(schema)[:1])])
