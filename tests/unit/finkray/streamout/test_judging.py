"""Files are read once for all filters, and not at all while their results are waited for."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest

from finkray.ledger.follow import Position
from finkray.results.store import result_path
from finkray.settings.streamout import StreamoutSettings
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from finkray.streamout.alerts import AlertReader
from finkray.streamout.filter_columns import FilterColumns
from finkray.streamout.filter_file import filter_of_text
from finkray.streamout.judging import Judge
from finkray.streamout.ledger_files import LedgerFile, files_from
from finkray.streamout.verdict import PASSED
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import RealArchive
from tests.support.services import Double
from tests.support.serving import serve

SET = "20180626_skyportal_205"
BRIGHT = filter_of_text("bright.toml", 'sql = "magpsf < 18"')
FAINT = filter_of_text("faint.toml", 'sql = "magpsf >= 18 AND ndethist > 0"')
EVEN = filter_of_text(
    "even.py",
    'NEEDS = ["double"]\ndef even(double__double):\n    return double__double % 4 == 0\n',
)
ODD = filter_of_text("odd.py", EVEN.text.replace("even", "odd").replace("== 0", "== 2"))


class Reader(AlertReader):
    """Notes which files are read."""

    def __init__(self, archive: Storage) -> None:
        super().__init__(archive)
        self.read: list[str] = []

    def columns(self, path: str, found: Iterable[FilterColumns]) -> pa.Table:
        """Note the file, and read it."""
        self.read.append(path)
        return super().columns(path, found)


@pytest.fixture
def archive(tmp_path: Path, test_data: Path) -> RealArchive:
    """Two files of real alerts."""
    archive = RealArchive(tmp_path / "archive", test_data)
    packets = list(islice(real_ztf_packets(test_data, SET), 30))
    archive.put("ztf", packets[:20])
    archive.put("ztf", packets[20:])
    return archive


@pytest.fixture
def reader(archive: RealArchive) -> Reader:
    return Reader(archive.storage)


@pytest.fixture
def judge(reader: Reader) -> Iterator[Judge]:
    made = Judge(StreamoutSettings(needs_s=3600), reader)
    yield made
    made.pool.close()


def files(archive: RealArchive) -> list[LedgerFile]:
    found = files_from(archive.storage, Position(), None)
    return [item for item in found if item.file is not None]


def test_the_columns_of_all_filters_are_read_once_a_file(
    archive: RealArchive, reader: Reader, judge: Judge
) -> None:
    items = files(archive)
    said = judge.judge_files([(item, [BRIGHT, FAINT]) for item in items])
    assert reader.read == [item.file.path for item in items if item.file]
    assert sum(v.count(PASSED) for file in said for v in file.verdicts.values()) == 30


def test_a_file_is_not_read_before_the_results_are_there_that_a_filter_needs(
    archive: RealArchive,
    reader: Reader,
    judge: Judge,
    test_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(archive, service=Double(), into="double")
    archive.put("ztf", list(islice(real_ztf_packets(test_data, SET), 8)))
    *_, last = files(archive)
    (waiting,) = judge.judge_files([(last, [EVEN])])
    assert (waiting.waiting, waiting.verdicts, reader.read) == ({"even"}, {}, [])
    # It waits alone.
    (both,) = judge.judge_files([(last, [EVEN, BRIGHT])])
    assert (both.waiting, set(both.verdicts)) == ({"even"}, {"bright"})
    serve(archive, service=Double(), into="double")
    # Each look is a request to an object store: once for all filters, and no more to read.
    looked: list[str] = []
    size_bytes = LocalStorage.size_bytes

    def noted(self: LocalStorage, path: str) -> int | None:
        looked.append(path)
        return size_bytes(self, path)

    monkeypatch.setattr(LocalStorage, "size_bytes", noted)
    (answered,) = judge.judge_files([(last, [EVEN, ODD])])
    assert [answered.verdicts[name].count(PASSED) for name in ("even", "odd")] == [4, 4]
    assert last.file is not None
    assert looked == [result_path(last.file.path)]
    assert len(reader.read) == 2
