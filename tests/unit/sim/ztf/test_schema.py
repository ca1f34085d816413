"""The schemas written here are the survey's in all but the words of the descriptions."""

import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from sim.ztf.schema import Version, schema_text

VERSIONS: list[Version] = ["3.3", "4.02"]


def _docs(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [doc for part in schema for doc in _docs(part)]
    if not isinstance(schema, dict):
        return []
    inner = [doc for part in schema.values() for doc in _docs(part)]
    return [*inner, schema["doc"]] if "doc" in schema else inner


def _without_docs(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_docs(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _without_docs(part) for key, part in schema.items() if key != "doc"}
    return schema


@pytest.mark.parametrize("version", VERSIONS)
def test_names_types_order_and_defaults_are_the_real_ones(test_data: Path, version: str) -> None:
    real = json.loads((test_data / "schemas" / f"ztf_alert_v{version}.avsc").read_text())
    assert _without_docs(json.loads(schema_text(version))) == _without_docs(real)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_descriptions_are_our_own(test_data: Path, version: str) -> None:
    real = json.loads((test_data / "schemas" / f"ztf_alert_v{version}.avsc").read_text())
    ours = json.loads(schema_text(version))
    assert not set(_docs(ours)) & set(_docs(real))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_text_is_as_long_as_a_real_one_and_fastavro_takes_it(version: Version) -> None:
    assert 18_000 <= len(schema_text(version)) <= 27_000
    fastavro.parse_schema(json.loads(schema_text(version)))


def test_forced_photometry_came_with_version_four() -> None:
    with_it, without = json.loads(schema_text("4.02")), json.loads(schema_text("3.3"))
    names = [[field["name"] for field in schema["fields"]] for schema in (with_it, without)]
    assert "fp_hists" in names[0]
    assert "fp_hists" not in names[1]
