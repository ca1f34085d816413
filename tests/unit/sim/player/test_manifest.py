"""A manifest can be read at any moment of the play that writes it."""

import io
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.settings.simulator import SimulatorSettings
from sim.player.manifest import ManifestWriter, PlayedTopic, read_manifest, read_objects
from sim.player.night import night
from sim.player.sender import Sent


def test_who_reads_while_a_file_is_written_sees_the_files_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = tmp_path / "played", []
    write_table = pq.write_table

    def write_and_look(table: pa.Table, out: BinaryIO | Path, **options: Any) -> None:
        """Write four bytes, read the manifest, write the others."""
        data = io.BytesIO()
        write_table(table, data, **options)
        with out.open("wb") if isinstance(out, Path) else nullcontext(out) as file:
            file.write(data.getvalue()[:4])
            file.flush()
            manifest = read_manifest(folder)
            seen.append((len(manifest.messages), len(read_objects(folder)), manifest.ended))
            file.write(data.getvalue()[4:])

    monkeypatch.setattr("sim.player.manifest.pq.write_table", write_and_look)
    monkeypatch.setattr("sim.player.manifest._ROWS_TO_A_FILE", 4)
    packets = list(night(SimulatorSettings(alerts=10, alerts_per_visit=10, plane_alerts=10)))
    with ManifestWriter(folder, PlayedTopic("c", "t", "i"), {}) as manifest:
        for offset, packet in enumerate(packets):
            manifest.add(Sent(packet, "t", 0, offset, 0, aborted=False))
    first = [(0, 0, False), (4, 0, False), (4, 4, False), (8, 4, False)]
    assert seen == [*first, (8, 8, False), (10, 8, False)]
    told = read_manifest(folder)
    assert (len(told.messages), len(read_objects(folder)), told.ended) == (10, 10, True)
