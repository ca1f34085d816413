"""The schemas written here are Rubin's in all but the descriptions, and are found by their id."""

import json
from pathlib import Path
from typing import Any

import pytest

from finkray.packets.schema_folder import SchemaFolder
from sim.lsst.schema import Version, schema_id, schema_text, write_schemas

VERSIONS: list[Version] = ["10.0", "11.0"]


def facts(schema: Any, namespace: str = "") -> Any:
    """Names, types, nullability and defaults, in order; no descriptions."""
    if isinstance(schema, list):
        return [facts(part, namespace) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema["type"] == "record":
        space = schema.get("namespace", namespace)
        name = schema["name"] if "." in schema["name"] else f"{space}.{schema['name']}"
        fields = [
            (field["name"], facts(field["type"], space), field.get("default", "no default"))
            for field in schema["fields"]
        ]
        return ("record", name, fields)
    kept = {key: part for key, part in schema.items() if key not in ("doc", "name")}
    return {key: facts(part, namespace) for key, part in kept.items()}


def official(test_data: Path, version: str) -> Any:
    text = SchemaFolder(test_data / "schemas" / "lsst").find(int(version.replace(".", "0")))
    assert text is not None
    return json.loads(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_names_types_nullability_order_and_defaults_are_the_real_ones(
    test_data: Path, version: Version
) -> None:
    ours = facts(json.loads(schema_text(version)))
    assert ours == facts(official(test_data, version))
    assert len(ours[2]) == 12


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ids_are_the_real_ones_and_the_archive_finds_them(
    tmp_path: Path, version: Version
) -> None:
    write_schemas(tmp_path / "schemas")
    number = schema_id(version)
    assert number == {"10.0": 1000, "11.0": 1100}[version]
    text = SchemaFolder(tmp_path / "schemas").find(number)
    assert text is not None
    assert json.loads(text) == json.loads(schema_text(version))
