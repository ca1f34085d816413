"""The Avro writer schemas of ZTF alerts 3.3 and 4.02, as text of the kind the survey embeds."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from sim.avro_rows import FieldSpec
from sim.ztf.fields import CANDIDATE, FORCED, PREVIOUS

Version = Literal["3.3", "4.02"]


@cache
def schema_text(version: Version) -> str:
    """Return the schema as in the header of each packet.

    The two versions differ in more than `fp_hists`, which came with version 4: 3.3 names the value
    before null in its unions (although null is the default, which strict Avro parsers refuse), 4.02
    names null first, sorts the keys and leaves the blanks out.
    """
    schema = _Writer(version).alert()
    if version == "3.3":
        return json.dumps(schema)
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))


class _Writer:
    def __init__(self, version: Version) -> None:
        self._version = version
        self._has_forced_photometry = version != "3.3"
        self._null_first = version != "3.3"

    def alert(self) -> dict[str, Any]:
        fields: list[dict[str, Any]] = [
            {"type": "string", "name": "schemavsn", "doc": "Version of this schema"},
            {"type": "string", "name": "publisher", "doc": "Who sends the packet"},
            {"type": "string", "name": "objectId", "doc": "Name of the object on the sky"},
            {"type": "long", "name": "candid", "doc": "Number of this detection, as in candidate"},
            {"type": self._record("candidate", CANDIDATE), "name": "candidate"},
            self._optional("prv_candidates", self._array("prv_candidate", PREVIOUS)),
        ]
        if self._has_forced_photometry:
            fields.append(self._optional("fp_hists", self._array("fp_hist", FORCED)))
        cutout = self._record(
            "cutout",
            [
                FieldSpec("fileName", "string", "Name that the image has in the survey's archive"),
                FieldSpec("stampData", "bytes", "A FITS file, compressed with gzip"),
            ],
        )
        fields += [
            self._optional("cutoutScience", cutout),
            self._optional("cutoutTemplate", "ztf.alert.cutout"),
            self._optional("cutoutDifference", "ztf.alert.cutout"),
        ]
        # The two versions spell the same full name, ztf.alert, in two ways.
        in_one = {"name": "ztf.alert"}
        name = {"name": "alert", "namespace": "ztf"} if self._version == "3.3" else in_one
        return {
            "type": "record",
            "version": self._version,
            **name,
            "fields": fields,
            "doc": "An alert of the Zwicky Transient Facility, made by a simulator",
        }

    def _record(self, name: str, fields: Sequence[FieldSpec]) -> dict[str, Any]:
        return {
            "type": "record",
            "version": self._version,
            "name": name,
            "namespace": "ztf.alert",
            "fields": [self._field(field) for field in fields],
        }

    def _array(self, name: str, fields: Sequence[FieldSpec]) -> dict[str, Any]:
        return {"type": "array", "items": self._record(name, fields)}

    def _field(self, field: FieldSpec) -> dict[str, Any]:
        primitive = field.type.rstrip("?!")
        if field.type == primitive:
            return {"type": primitive, "name": field.name, "doc": field.doc}
        if field.type.endswith("!"):
            return {"type": self._union(primitive), "name": field.name, "doc": field.doc}
        spec = self._optional(field.name, primitive)
        if field.name == "tooflag" and self._version == "3.3":
            spec["default"] = 0
        return {**spec, "doc": field.doc}

    def _optional(self, name: str, value: Any) -> dict[str, Any]:
        return {"type": self._union(value), "name": name, "default": None}

    def _union(self, value: Any) -> list[Any]:
        return ["null", value] if self._null_first else [value, "null"]
