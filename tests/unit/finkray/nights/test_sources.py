"""Built nights and hourly files together have each row once, at any state of either."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.claim import TopicPartition
from finkray.nights.dataset import _with_offsets
from finkray.nights.layout import SOURCES, narrow_file
from finkray.nights.sources import ChosenFile, NarrowNight, choose
from finkray.storage.contract import StoredFile
from finkray.storage.layout import alerts_path
from tests.support.examples import examples

NIGHTS = (date(2026, 11, 23), date(2026, 11, 24))
HOURS = ("alerts/topic=ztf/hour=04", "alerts/topic=ztf/hour=05")

Rows = list[tuple[int, date | None]]
"""Number and night of each row."""

actions = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.integers(0, 3),
            st.sampled_from(HOURS),
            st.lists(st.sampled_from([*NIGHTS, None]), max_size=4),
        ),
        st.tuples(st.just("lose"), st.integers(0, 3), st.sampled_from(HOURS)),
        st.tuples(st.just("build"), st.sampled_from(NIGHTS)),
    ),
    max_size=12,
)


class Archive:
    """Hourly files and built nights, in memory."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, Rows]] = {}
        self.nights: dict[date, NarrowNight] = {}
        self.narrow: dict[str, Rows] = {}
        self._numbers = itertools.count(1)

    def write(self, number: int, hour: str, nights: list[date | None]) -> None:
        """Write a file, or write it again with other rows and another size."""
        rows = [(next(self._numbers), night) for night in nights]
        self.files[f"{hour}/{number}.parquet"] = (next(self._numbers), rows)

    def lose(self, number: int, hour: str) -> None:
        """Lose a file."""
        self.files.pop(f"{hour}/{number}.parquet", None)

    def build(self, night: date) -> None:
        """Build a generation of a night of the files that there are."""
        generation = f"hats/nights/{night}/g{next(self._numbers)}"
        sources = []
        for path, (size, rows) in sorted(self.files.items()):
            of_night = [row for row in rows if row[1] == night]
            if of_night:
                sources.append((path, size, len(rows), len(of_night)))
                file = narrow_file(generation, path.rpartition("/")[0])
                self.narrow.setdefault(file, []).extend(of_night)
        columns = zip(*sources, strict=True) if sources else [[]] * len(SOURCES)
        table = pa.table([list(column) for column in columns], schema=SOURCES)
        self.nights[night] = NarrowNight(night, generation, table, frozenset())

    def listed(self) -> list[StoredFile]:
        """The hourly files."""
        return [StoredFile(path, size) for path, (size, _) in sorted(self.files.items())]

    def read(self, file: ChosenFile) -> Rows:
        """The rows that a reader gets of a file."""
        rows = self.narrow[file.path] if file.path in self.narrow else self.files[file.path][1]
        return [row for row in rows if row[1] not in file.without]


@given(actions)
@settings(max_examples=examples(150), deadline=None)
def test_each_row_of_the_hourly_files_is_read_once(
    steps: list[tuple[str, *tuple[object, ...]]],
) -> None:
    archive = Archive()
    for name, *arguments in steps:
        getattr(archive, name)(*arguments)
    chosen, used = choose(archive.listed(), archive.nights.values())
    found = Counter(row for file in chosen for row in archive.read(file))
    assert found == Counter(row for _, rows in archive.files.values() for row in rows)
    assert len(chosen) <= len(archive.files) + len(used) * len(HOURS)


def test_a_file_whose_rows_are_all_in_built_nights_is_not_read() -> None:
    archive = Archive()
    for number in range(4):
        archive.write(number, HOURS[0], [NIGHTS[0], NIGHTS[1]])
    archive.write(0, HOURS[1], [NIGHTS[1], None])
    archive.build(NIGHTS[0])
    archive.build(NIGHTS[1])
    archive.write(1, HOURS[1], [NIGHTS[1]])  # came later
    chosen, _ = choose(archive.listed(), archive.nights.values())
    assert [file.path.rpartition("/")[2] for file in chosen] == [
        *["alerts.parquet"] * 3,
        "0.parquet",
        "1.parquet",
    ]
    assert [file.without for file in chosen[-2:]] == [{NIGHTS[1]}, frozenset()]


@pytest.mark.parametrize("change", ["write", "lose"])
def test_an_hour_with_a_source_that_changed_is_read_from_its_files(change: str) -> None:
    archive = Archive()
    for hour in HOURS:
        for number in range(2):
            archive.write(number, hour, [NIGHTS[0]])
    archive.build(NIGHTS[0])
    archive.write(1, HOURS[0], []) if change == "write" else archive.lose(1, HOURS[0])
    chosen, _ = choose(archive.listed(), archive.nights.values())
    narrow = [file.path for file in chosen if file.path in archive.narrow]
    assert narrow == [narrow_file(archive.nights[NIGHTS[0]].generation, HOURS[1])]


def test_a_file_that_claims_share_may_have_any_offset() -> None:
    """Its name has the offsets of one of them."""
    hour = datetime(2026, 11, 24, 1, tzinfo=UTC)
    source = TopicPartition("cluster", "ztf", "topic-id", 0)
    alone, shared = (alerts_path(source, hour, 0, 9, "ab" * 32, others=n) for n in (0, 3))
    rows = pa.table({"kafka_partition": [5], "kafka_offset": [7]})
    files = [StoredFile(path, 1) for path in (alone, shared)]
    assert _with_offsets(files, rows) == {shared}
