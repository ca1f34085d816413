"""The table of what partitions, claims and packets do."""

import io
import json
from pathlib import Path

import fastavro

from bench.figures import Figures
from bench.scaling import CASES, render
from bench.topics import read_feed, without_cutouts


def test_each_case_has_a_line_and_changes_one_thing() -> None:
    figures = Figures(10_000, 20.0, 500.0, 4000.0, 264e6, 0.35, 7_000_000_000, 41_000.0)
    header, _, *lines = render([(case, figures) for case in CASES]).splitlines()
    assert header.split()[:2] == ["changed", "to"]
    assert len(lines) == len(CASES)
    assert {line[-40:].split()[-1] for line in lines} == {"7000"}
    for case in CASES:
        changed = (case.feed != "containers", case.partitions is not None, bool(case.ingest))
        assert sum(changed) <= 1 or case.changed == "partitions, actors"


def test_the_small_packets_are_the_others_without_their_cutouts(test_data: Path) -> None:
    bare = read_feed("bare", test_data)
    small = without_cutouts(bare)
    schema = fastavro.parse_schema(json.loads(small.schema_text))
    for little, whole in zip(small.messages[:5], bare.messages[:5], strict=True):
        read = [fastavro.schemaless_reader(io.BytesIO(one), schema) for one in (little, whole)]
        cutouts = {name for name in read[1] if name.startswith("cutout")}
        assert len(cutouts) == 3
        assert read[0] == {**read[1], **dict.fromkeys(cutouts)}
        assert len(little) < 10_000 < len(whole)
