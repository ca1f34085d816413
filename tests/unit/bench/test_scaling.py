"""The cases of the scaling benchmark, and the packets that they send."""

import io
import json
from pathlib import Path

import fastavro

from bench.figures import Figures
from bench.scaling import CASES, render
from bench.topics import read_feed, without_cutouts


def test_each_case_changes_one_thing_and_has_a_row() -> None:
    figures = Figures(10_000, 20.0, 500.0, 4000.0, 264e6, 0.35, 7_000_000_000, 41_000.0)
    _header, _rule, *lines = render([(case, figures) for case in CASES]).splitlines()
    assert len(lines) == len(CASES)
    for case in CASES:
        changed = (case.feed != "containers", case.partitions is not None, bool(case.ingest))
        assert sum(changed) <= 1 or case.changed == "partitions, actors"


def test_the_small_packets_are_the_same_without_cutouts(test_data: Path) -> None:
    bare = read_feed("bare", test_data)
    small = without_cutouts(bare)
    schema = fastavro.parse_schema(json.loads(small.schema_text))
    for small_packet, packet in zip(small.messages[:5], bare.messages[:5], strict=True):
        read = [
            fastavro.schemaless_reader(io.BytesIO(message), schema)
            for message in (small_packet, packet)
        ]
        cutouts = {name for name in read[1] if name.startswith("cutout")}
        assert len(cutouts) == 3
        assert read[0] == {**read[1], **dict.fromkeys(cutouts)}
        assert len(small_packet) < 10_000 < len(packet)
