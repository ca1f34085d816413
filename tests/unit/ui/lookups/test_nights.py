"""What the page Archive reads of the ledger: nights, hours, dead letters."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from finkray.reader import Archive
from finkray.storage.local import LocalStorage
from tests.support.small_archives import NIGHT, SmallArchive
from ui.lookups.nights import newest_letters, nights_record, one_letter
from ui.lookups.process import LookupRefused


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = SmallArchive(LocalStorage(tmp_path))
    made.put_together(made.batch(0, 9, dead=(3, 4)), made.batch(10, 19))
    made.put_together(made.batch(20, 29, begins=NIGHT + timedelta(days=1)))
    return Archive(made.storage)


def test_nights_have_the_alerts_bytes_and_files_of_the_ledger(archive: Archive) -> None:
    record = nights_record(archive, None)
    amounts = dict(record.nights)
    assert amounts[date(2026, 11, 23)].alerts == 18
    assert amounts[date(2026, 11, 24)].alerts == 10
    stored = list((Path(archive.uri.removeprefix("file://")) / "alerts").rglob("*.parquet"))
    size = sum(amount.size_bytes for amount in amounts.values())
    assert size == sum(path.stat().st_size for path in stored)
    assert sum(amount.files for amount in amounts.values()) == len(stored)
    assert sum(amount.dead_letters for amount in amounts.values()) == 2
    assert record.hours == ((NIGHT + timedelta(days=1), record.hours[0][1], 10),)
    before = nights_record(archive, date(2026, 11, 23))
    assert [alerts for _, _, alerts in before.hours] == [18]
    assert record.nights_left is not None


def test_dead_letters_are_listed_the_newest_first_and_one_shows_its_bytes(archive: Archive) -> None:
    letters = newest_letters(archive)
    assert [letter.offset for letter in letters] == [4, 3]
    chosen = one_letter(archive, letters[0].topic, letters[0].partition, 4)
    assert chosen.head
    with pytest.raises(LookupRefused, match="no dead letter"):
        one_letter(archive, letters[0].topic, letters[0].partition, 5)


def test_an_empty_archive_has_no_night(tmp_path: Path) -> None:
    record = nights_record(Archive(LocalStorage(tmp_path)), None)
    assert (record.nights, record.hours, record.nights_left) == ((), (), None)
