"""The audit: each thing that can be wrong with an archive, and what it says then."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pyarrow as pa
import pytest

import finkray
from finkray.audit.audit import audit, balance
from finkray.audit.files import FileComparison
from finkray.audit.report import TWICE, AuditReport, missing_ranges, vanished_files
from finkray.claim import Claim, Gap, TopicPartition
from finkray.errors import LedgerCorrupt
from finkray.intervals import IntervalSet
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, recover
from finkray.ledger.state import LedgerState, Totals
from tests.support.ledgers import ZTF
from tests.support.small_archives import NIGHT, SmallArchive
from tests.support.stored_files import keep_rows, overwrite_parquet, read_bytes, read_parquet

OTHER = ZTF._replace(partition=1)


class Marks(NamedTuple):
    low: int
    high: int


@dataclass
class KafkaAsTold:
    """Answers what it is told to."""

    marks: Mapping[TopicPartition, Marks]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def partitions(self, wants: Callable[[str], bool]) -> list[TopicPartition]:
        return [source for source in self.marks if wants(source.topic)]

    def watermarks(self, topic: str, partition: int) -> Marks:
        self.asked.append((topic, partition))
        return next(
            marks
            for source, marks in self.marks.items()
            if (source.topic, source.partition) == (topic, partition)
        )


def problems(report: AuditReport) -> list[tuple[str, str]]:
    return [(found.problem, found.path) for found in report.file_findings]


# The balance sheet alone.


def state(**partitions: tuple[TopicPartition, list[tuple[int, int]], Totals]) -> LedgerState:
    made = LedgerState(last_seq=5, epoch=2)
    for source, covered, totals in partitions.values():
        made.add_range(source, IntervalSet(covered), totals)
    return made


def test_what_kafka_has_and_the_ledger_has_not_waits() -> None:
    ledger = state(a=(ZTF, [(10, 99)], Totals(3, archived=80, dead_lettered=4, not_delivered=6)))
    kafka = {ZTF: Marks(0, 150), OTHER: Marks(7, 20)}
    report = balance(kafka, ledger, FileComparison(()), "here", NIGHT)
    assert report.balanced
    assert (report.received, report.archived, report.dead_lettered) == (90, 80, 4)
    assert (report.expired, report.not_delivered) == (0, 6)
    assert report.waiting == 50 + 13
    assert report.checked_against_disk_alone == 0


def test_offsets_that_no_claim_holds_are_a_difference() -> None:
    ledger = state(a=(ZTF, [(10, 19), (30, 39)], Totals(2, archived=20)))
    ledger.add_start(ZTF, 5)
    report = balance(None, ledger, FileComparison(()), "here", NIGHT)
    assert not report.balanced
    assert report.exit_code == 1
    assert (report.received, report.difference) == (35, 15)
    assert missing_ranges(report) == [Claim(ZTF, 5, 9), Claim(ZTF, 20, 29)]


@pytest.mark.parametrize(
    ("marks", "disk_alone", "waiting", "beyond"),
    [
        (None, 90, 0, []),
        (Marks(0, 100), 0, 0, []),
        (Marks(40, 120), 30, 20, []),
        (Marks(200, 220), 90, 120, []),
        (Marks(0, 60), 0, 0, [(60, 99)]),
        (Marks(0, 0), 0, 0, [(10, 99)]),
    ],
)
def test_ranges_against_what_kafka_still_holds(
    marks: Marks | None, disk_alone: int, waiting: int, beyond: list[tuple[int, int]]
) -> None:
    ledger = state(a=(ZTF, [(10, 99)], Totals(1, archived=90)))
    kafka = {} if marks is None else {ZTF: marks}
    report = balance(kafka, ledger, FileComparison(()), "here", NIGHT)
    assert report.checked_against_disk_alone == disk_alone
    assert report.waiting == waiting
    assert [(one.first_offset, one.last_offset) for one in report.beyond_kafka] == beyond
    assert report.balanced == (not beyond)
    assert report.difference == 0


def test_what_was_left_to_the_backfill_waits() -> None:
    ledger = state(a=(ZTF, [(10, 19), (60, 79)], Totals(2, archived=30)))
    for offset in (10, 60, 95):
        ledger.add_start(ZTF, offset)
    report = balance({ZTF: Marks(15, 120)}, ledger, FileComparison(()), "here", NIGHT)
    assert report.balanced
    assert (report.received, report.archived, report.difference) == (30, 30, 0)
    # 20 to 59 and 80 to 94 are deferred; 95 to 119 come to the live lane.
    assert (report.deferred, report.waiting) == (40 + 15, 40 + 15 + 25)
    assert report.checked_against_disk_alone == 5
    assert missing_ranges(report) == []
    assert balance(None, ledger, FileComparison(()), "here", NIGHT).waiting == 55


# Real archives.


def test_a_good_archive_is_balanced(small: SmallArchive) -> None:
    small.put(0, 119, dead=[3, 4], gaps=[Gap("expired", 0, 1), Gap("not_delivered", 70, 70)])
    small.put(0, 9, source=OTHER)
    kafka = KafkaAsTold({ZTF: Marks(2, 130), OTHER: Marks(0, 10), **elsewhere()})
    report = audit(small.storage, kafka, wants=lambda topic: topic == "wanted", deep="all")
    assert report.balanced, report
    assert report.exit_code == 0
    assert (report.received, report.archived, report.dead_lettered) == (130, 125, 2)
    assert (report.expired, report.not_delivered, report.difference) == (2, 1, 0)
    # Ten of a known topic; all four of a topic that is wanted but new; none of the third.
    assert report.waiting == 10 + 4
    assert report.checked_against_disk_alone == 2
    assert ("unwanted", 0) not in kafka.asked
    assert report.deep is not None
    assert (report.deep.claims, report.deep.files, report.deep.rows) == (2, 4, 127)


def elsewhere() -> dict[TopicPartition, Marks]:
    wanted = TopicPartition(ZTF.cluster_id, "wanted", "wanted-id", 0)
    return {wanted: Marks(0, 4), wanted._replace(topic="unwanted"): Marks(0, 1000)}


def test_a_file_that_vanished_is_missing_and_can_be_made_again(small: SmallArchive) -> None:
    claim = small.put(0, 119)
    lost, kept = claim.result.files
    small.storage.delete([lost.path])
    report = audit(small.storage)
    assert problems(report) == [("missing", lost.path)]
    assert (report.archived, report.difference, report.balanced) == (60, 60, False)
    assert vanished_files(report.file_findings) == {claim.result.claim: [lost.path]}

    # The repair: the same claim read again, of which only the vanished file is put in place.
    again = small.stage(0, 119, gaps=[Gap("expired", 0, 9)])
    remade = {again.result.files[0].path: again.staged[again.result.files[0].path]}
    result = type(again.result)(
        claim=claim.result.claim,
        files=(again.result.files[0], kept),
        gaps=again.result.gaps,
    )
    commit(small.ledger, small.storage, [type(again)(result, remade)], kind="repaired")
    report = audit(small.storage, deep="all")
    assert report.balanced, report
    assert (report.archived, report.expired) == (110, 10)


def test_a_file_of_another_size_is_damaged(small: SmallArchive) -> None:
    (path,) = small.put(0, 9).staged
    small.storage.replace(path, b"PAR1")
    report = audit(small.storage, deep="all")
    assert problems(report) == [("damaged", path)]
    assert (report.archived, report.difference) == (0, 10)
    assert report.deep is not None
    assert [found.path for found in report.deep.findings] == [path]
    assert report.deep.findings[0].problem.startswith("cannot be read")


def test_a_resolved_dead_letter_is_accounted_for_once(small: SmallArchive) -> None:
    """Though its offset stands in a dead-letter file and in a file of alerts."""
    before = small.put(0, 9, dead=[3, 4, 7])
    other = small.put(10, 19, dead=[12])
    one = small.resolve(before.result, 3, 7)
    report = audit(small.storage, deep="all")
    assert report.balanced, report
    assert (report.received, report.archived, report.dead_lettered) == (20, 18, 2)
    assert len({file.path for file in one.result.files}) == 2

    (letters,) = before.result.dead_letter_files
    small.storage.delete([letters.path])
    report = audit(small.storage, deep="all")
    # The two that were brought in are not lost with their letters.
    assert (report.archived, report.dead_lettered, report.difference) == (18, 1, 1)

    (brought,) = one.staged
    small.storage.delete([brought])
    (late,) = small.resolve(other.result, 12).staged
    keep_rows(small.storage, late, [])
    report = audit(small.storage, deep="all")
    assert (report.archived, report.dead_lettered, report.difference) == (16, 0, 4)
    assert report.deep is not None
    assert ("offsets that are in no file", 1) in [
        (found.problem, found.offsets) for found in report.deep.findings
    ]


def test_an_unresolved_letter_that_is_an_alert_too_is_a_duplicate(small: SmallArchive) -> None:
    """And one that is said to be resolved must be a letter."""
    before = small.put(0, 9, dead=[3, 4])
    one = small.resolve(before.result, 3)
    (brought,) = one.staged
    table = read_parquet(small.storage, brought)
    for offset in (4, 5):
        moved = table.set_column(2, "kafka_offset", pa.array([offset], pa.int64()))
        overwrite_parquet(small.storage, brought, moved)
        report = audit(small.storage, deep="all")
        assert report.deep is not None
        assert (TWICE, 1) in [(found.problem, found.offsets) for found in report.deep.findings]
        assert report.duplicates == 1
    (letters,) = before.result.dead_letter_files
    keep_rows(small.storage, letters.path, [1])
    report = audit(small.storage, deep="all")
    assert report.deep is not None
    assert "resolved offsets that are no dead letters" in {
        found.problem for found in report.deep.findings
    }


def test_files_that_no_entry_names_are_strays(small: SmallArchive) -> None:
    (path,) = small.put(0, 9).staged
    extra = f"{path.rpartition('/')[0]}/extra.parquet"
    small.storage.create(extra, read_bytes(small.storage, path))
    small.storage.create("alerts/.x.crc", b"x")
    report = audit(small.storage)
    assert problems(report) == [("stray", "alerts/.x.crc"), ("stray", extra)]
    assert (report.duplicates, report.difference, report.balanced) == (2, 0, False)


def test_a_file_that_two_claims_name_is_found_with_both(small: SmallArchive) -> None:
    (file,) = small.put(0, 9).result.files
    small.put(10, 19)
    other = small.stage(20, 29)
    (staged,) = other.staged.values()
    stolen = type(other)(replace(other.result, files=(file,)), {file.path: staged})
    small.ledger.append([stolen])
    report = audit(small.storage)
    assert problems(report) == [("named twice", file.path)] * 2
    assert [found.claim.first_offset for found in report.file_findings if found.claim] == [0, 20]
    assert (report.duplicates, report.balanced) == (2, False)


def test_what_is_staged_and_not_committed_is_nothing_to_the_audit(small: SmallArchive) -> None:
    small.put(0, 9)
    small.stage(10, 19)
    assert audit(small.storage).balanced


def test_what_is_committed_and_not_published_is_said(small: SmallArchive) -> None:
    staged = small.stage(0, 119)
    small.ledger.append([staged])
    first, _ = staged.staged.values()
    report = audit(small.storage)
    assert (report.balanced, report.unpublished_files, report.archived) == (True, 2, 120)
    small.storage.delete([first])
    report = audit(small.storage)
    assert (report.balanced, report.unpublished_files, report.archived) == (False, 1, 60)
    recover(Ledger.take_over(small.storage), small.storage)
    assert audit(small.storage).unpublished_files == 0


def test_an_audit_beside_a_running_archive_sees_no_trouble_that_is_none(
    small: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is committed between any two looks of the audit."""
    small.put(0, 9)
    offset = 10
    walk = type(small.storage).walk

    def commit_then_walk(_storage: object, folder: str) -> object:
        nonlocal offset
        small.put(offset, offset + 9, dead=[offset])
        offset += 10
        found = list(walk(small.storage, folder))
        small.put(offset, offset + 9, dead=[offset])
        offset += 10
        return found

    monkeypatch.setattr(type(small.storage), "walk", commit_then_walk)
    kafka = KafkaAsTold({ZTF: Marks(0, 1000)})
    report = audit(small.storage, kafka)
    assert report.balanced, report
    assert (report.received, report.waiting) == (10, 990)


def test_a_recreated_topic_is_another(small: SmallArchive) -> None:
    small.put(0, 9)
    anew = ZTF._replace(topic_id="made-anew-topic-id")
    report = audit(small.storage, KafkaAsTold({anew: Marks(0, 5)}))
    assert report.balanced
    assert (report.waiting, report.checked_against_disk_alone) == (5, 10)


def test_a_ledger_that_cannot_be_summed_up(small: SmallArchive) -> None:
    small.put(0, 9)
    small.put(10, 19)
    small.storage.delete([f"ledger/log/{1:020d}.json"])
    with pytest.raises(LedgerCorrupt, match="entry 1"):
        audit(small.storage)


def test_from_python(small: SmallArchive) -> None:
    small.put(0, 9)
    report = finkray.open_archive(small.storage.uri).audit(deep="all")
    assert json.loads(json.dumps(report.to_json()))["balanced"] is True
