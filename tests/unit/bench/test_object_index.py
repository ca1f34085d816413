"""The benchmark of the object index: its archive is one, and its look-ups find all."""

from pathlib import Path

import finkray
from bench.object_index import ALERTS_PER_OBJECT, make_archive, measure, object_name


def test_the_index_of_the_benchmark_finds_its_alerts(tmp_path: Path) -> None:
    make_archive(tmp_path / "archive", 1_200)
    archive = finkray.open_archive(tmp_path / "archive")
    assert archive.audit().balanced
    names = archive.dataset().to_table(["objectId"])["objectId"].to_pylist()
    assert len(names) == 1_200
    assert set(names) <= {object_name(number) for number in range(1_200 // ALERTS_PER_OBJECT)}
    costs = measure(archive.uri, 1_200)
    assert costs["found"] > 1_200
    assert 50 < costs["at_once_bytes"] < 300
    assert costs["at_once_cpu_us"] > 0
