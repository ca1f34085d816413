"""The Avro writer schemas of LSST's alerts 10.0 and 11.0, and a folder of them for readers."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from finkray.whole_file import whole_file
from sim.avro_rows import FieldSpec
from sim.lsst.fields import FORCED_SOURCE, OBJECT, ORBIT, SOLAR_SYSTEM_SOURCE, SOURCE, fields_of

Version = Literal["10.0", "11.0"]


def schema_id(version: Version) -> int:
    """Return the id in the frame: 100 x major + minor."""
    major, minor = map(int, version.split("."))
    return 100 * major + minor


@cache
def schema_text(version: Version) -> str:
    """Return the schema as one text, with each record where its name is used first."""
    major = int(version.split(".")[0])
    prefix = f"lsst.v{version.replace('.', '_')}"

    def record(name: str, table: Sequence[FieldSpec]) -> dict[str, Any]:
        fields = [_field(field) for field in fields_of(tuple(table), major)]
        return {"type": "record", "name": f"{prefix}.{name}", "fields": fields}

    def array(items: Any) -> dict[str, Any]:
        return {"type": "array", "items": items}

    optional = {
        "prvDiaSources": array(f"{prefix}.diaSource"),
        "prvDiaForcedSources": array(record("diaForcedSource", FORCED_SOURCE)),
        "diaObject": record("diaObject", OBJECT),
        "ssSource": record("ssSource", SOLAR_SYSTEM_SOURCE),
        "mpc_orbits": record("mpc_orbits", ORBIT),
        **dict.fromkeys(("cutoutDifference", "cutoutScience", "cutoutTemplate"), "bytes"),
    }
    fields = [
        {"name": "diaSourceId", "type": "long"},
        *(_optional(name, "string") for name in ("observation_reason", "target_name")),
        {"name": "diaSource", "type": record("diaSource", SOURCE)},
        *(_optional(name, value) for name, value in optional.items()),
    ]
    alert = {
        "type": "record",
        "name": f"{prefix}.alert",
        "doc": f"An alert in the form of LSST's {version}, made by a simulator",
        "fields": fields,
    }
    return json.dumps(alert)


def write_schemas(folder: Path) -> None:
    """Write both schemas as `<id>.avsc`, as the setting `packets.schema_folder` expects them."""
    folder.mkdir(parents=True, exist_ok=True)
    versions: tuple[Version, ...] = ("10.0", "11.0")
    for version in versions:
        # An archive that runs already may be reading it when the simulator is started again.
        with whole_file(folder / f"{schema_id(version)}.avsc") as file:
            file.write(f"{schema_text(version)}\n".encode())


def _field(field: FieldSpec) -> dict[str, Any]:
    primitive: Any = field.type.rstrip("?")
    if primitive == "timestamp":
        primitive = {"type": "long", "logicalType": "timestamp-micros"}
    if field.type.endswith("?"):
        return _optional(field.name, primitive)
    return {"name": field.name, "type": primitive}


def _optional(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", value], "default": None}
