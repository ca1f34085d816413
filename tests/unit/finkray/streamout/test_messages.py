"""Messages of small files are made together, and are those that each file has alone."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pytest

from finkray.ledger.follow import Position
from finkray.storage.contract import Storage
from finkray.streamout import alerts as alerts_module
from finkray.streamout.alerts import AlertReader
from finkray.streamout.filter_columns import FilterColumns
from finkray.streamout.filter_file import filter_of_text
from finkray.streamout.ledger_files import files_from
from finkray.streamout.messages import RUN_ALERTS, JudgedFile, MessageMaker, runs
from finkray.streamout.projection import Projection
from finkray.streamout.published import PublishedFilter
from finkray.streamout.verdict import Verdicts
from finkray.streamout.wire import Wire
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import RealArchive

AT = datetime(2026, 11, 24, 2, tzinfo=UTC)
SIZES = (9, 1, 12, 8)


@pytest.fixture
def storage(tmp_path: Path, test_data: Path) -> Storage:
    """Files of real alerts."""
    archive = RealArchive(tmp_path / "archive", test_data)
    packets = real_ztf_packets(test_data, "20180626_skyportal_205")
    for alerts in SIZES:
        archive.put("ztf", list(islice(packets, alerts)))
    return archive.storage


def published(name: str, projection: str) -> PublishedFilter:
    definition = filter_of_text(f"{name}.toml", 'sql = "magpsf < 18"')
    return PublishedFilter(
        definition=definition,
        file_name="",
        source="",
        topic=name,
        projection=Projection.from_text(projection),
        wire=Wire.CONFLUENT,
        cursor="",
        state="active",
        published_at=AT,
    )


FILTERS = [published("thirds", "lite"), published("few", "objectId,cutoutScience")]


def judged(storage: Storage) -> list[JudgedFile]:
    """Return the files; each third alert passed one filter, the other has nothing of some."""
    out = []
    items = [item for item in files_from(storage, Position(), None) if item.file is not None]
    for number, item in enumerate(items):
        thirds = np.array([row % 3 == 0 for row in range(item.rows)], np.uint8)
        few = np.array([row == 7 and number == 0 for row in range(item.rows)], np.uint8)
        found = {"thirds": Verdicts(thirds), "few": Verdicts(few)}
        services = pa.chunked_array(
            [
                pa.array(
                    [{"status": "ok", "version": "1", "computed_at": AT, "n": number}] * item.rows
                )
            ]
        )
        record = pa.struct(
            [
                ("status", pa.string()),
                ("version", pa.string()),
                ("computed_at", pa.timestamp("us", "UTC")),
                ("n", pa.int64()),
            ]
        )
        out.append(JudgedFile(item, found, {"numbers": services.cast(record)}))
    return out


def records(storage: Storage, groups: list[list[JudgedFile]]) -> dict[str, list[Any]]:
    """Return what each filter sends: position of the file, row, object, source and record."""
    maker = MessageMaker(AlertReader(storage))
    out: dict[str, list[Any]] = {each.name: [] for each in FILTERS}
    for group in groups:
        for messages in maker.messages(group, FILTERS, AT):
            assert not messages.refused
            positions = [(group[file].after, row) for file, row in messages.rows]
            found = zip(
                positions, messages.object_ids, messages.sources, messages.records, strict=True
            )
            out[messages.published.name] += found
    return out


def test_messages_made_together_are_those_of_each_file(storage: Storage) -> None:
    files = judged(storage)
    alone = records(storage, [[file] for file in files])
    assert records(storage, [files]) == alone
    assert [len(alone[name]) for name in ("thirds", "few")] == [3 + 1 + 4 + 3, 1]


def test_files_are_taken_together_while_they_are_alike_and_few_alerts(storage: Storage) -> None:
    a, b, c, d = judged(storage)
    assert list(runs([a, b, c, d])) == [[a, b, c, d]]
    alone = JudgedFile(b.item, {"thirds": b.verdicts["thirds"]}, b.answers)
    assert list(runs([a, alone, c, d])) == [[a], [alone], [c, d]]
    unanswered = JudgedFile(c.item, c.verdicts, {})
    assert list(runs([a, b, unanswered])) == [[a, b], [unanswered]]
    many = [a] * (RUN_ALERTS // a.item.rows + 1)
    assert list(map(len, runs(many))) == [len(many) - 1, 1]
    assert not list(runs([]))


def test_a_small_file_is_opened_once_and_has_the_same_messages(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_file = type(storage).open

    def noted(self: Storage, path: str) -> BinaryIO | pa.NativeFile:
        opened.append(path)
        return open_file(self, path)

    monkeypatch.setattr(type(storage), "open", noted)
    columns = FilterColumns(packet={"magpsf": "candidate.magpsf"}, services={}, missing=())
    files = judged(storage)
    made = {}
    for most in (alerts_module.READ_AHEAD_BYTES, 0):
        monkeypatch.setattr(alerts_module, "READ_AHEAD_BYTES", most)
        reader = AlertReader(storage)
        maker = MessageMaker(reader)
        opened.clear()
        made[most] = []
        for file in files:
            magnitudes = reader.columns(file.path, [columns])["candidate.magpsf"]
            made[most].append(magnitudes.to_pylist())
            made[most] += [m.records for m in maker.messages([file], FILTERS[:1], AT)]
        # The first file tells what messages are made of.
        assert len(opened) == (2 * len(files) if not most else len(files) + 1)
    assert made[0] == made[alerts_module.READ_AHEAD_BYTES]


def test_what_was_read_ahead_for_other_messages_is_read_again(storage: Storage) -> None:
    reader = AlertReader(storage)
    maker = MessageMaker(reader)
    files = judged(storage)
    together = records(storage, [files[:1]])
    list(maker.messages(files[1:2], FILTERS[:1], AT))
    reader.columns(files[0].path, [])
    list(maker.messages(files[2:3], FILTERS, AT))  # of other columns
    found = {m.published.name: m.records for m in maker.messages(files[:1], FILTERS, AT)}
    assert found == {name: [record for *_, record in sent] for name, sent in together.items()}


def test_alerts_for_which_no_filter_has_a_schema_are_refused_by_name(storage: Storage) -> None:
    (file, *_) = judged(storage)
    lacking = published("thirds", "objectId,nothing")
    (made,) = MessageMaker(AlertReader(storage)).messages([file], [lacking], AT)
    ((reason, alerts),) = made.refused.items()
    assert "the packets have no field nothing" in reason
    assert (made.records, len(alerts), alerts[0][-3:]) == ([], 3, "]@0")
