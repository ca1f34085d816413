"""Entries as JSON and as rows, folded files and their order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.claim import Gap, StagedClaim
from finkray.errors import LedgerCorrupt
from finkray.intervals import Interval
from finkray.ledger import read as ledger_read
from finkray.ledger.claims import COLUMNS, claim_tables, read_claims, read_results
from finkray.ledger.compaction import compact
from finkray.ledger.entry import Entry, log_path, seq_of
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.segment import (
    BLOCK,
    FANOUT,
    LEVELS,
    LedgerFiles,
    Segment,
    choose_files,
    covering,
    next_compaction,
)
from finkray.ledger.state import LedgerState
from finkray.ledger.table import add_to_state, to_entries, to_table
from finkray.storage.contract import Storage
from tests.support.ledgers import (
    ZTF,
    compact_now,
    resolved,
    result,
    unstaged,
)
from tests.support.stored_files import overwrite_parquet, read_bytes, read_parquet

NOW = datetime(2026, 11, 24, 1, 2, 3, 456789, tzinfo=UTC)


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """Entries as archives might have written them, one epoch after the other."""
    entries: list[Entry] = []
    offsets = {ZTF: 0, ZTF._replace(partition=7, topic_id="made-anew"): 5}
    epoch = 0
    for kind in ["opened", *draw(st.lists(st.sampled_from(["opened", "started", "c", "r", "v"])))]:
        common = {
            "seq": len(entries),
            "at": NOW + timedelta(seconds=len(entries)),
            "writer": f"writer-{epoch}",
            "published_through": len(entries) - 1,
        }
        if kind == "opened":
            epoch += 1
            entries.append(Entry(epoch=epoch, kind="opened", holder={"pid": 1}, **common))
        elif kind == "started":
            starts = tuple((source, at) for source, at in offsets.items())
            entries.append(Entry(epoch=epoch, kind="started", starts=starts, **common))
        elif kind == "c":
            claims = []
            for source in draw(st.lists(st.sampled_from(list(offsets)), min_size=1, max_size=4)):
                size = draw(st.integers(1, 6))
                dead = draw(st.integers(0, size - 1))
                first = offsets[source]
                offsets[source] += size
                kind_of_gap = draw(st.sampled_from(["not_delivered", "expired", "unreadable"]))
                gaps = [Gap(kind_of_gap, first, first)] if dead < size - 1 else []
                claims.append(result(first, first + size - 1, source=source, dead=dead, gaps=gaps))
            entries.append(Entry(epoch=epoch, kind="committed", claims=tuple(claims), **common))
        elif kind == "v":
            before = [claim for entry in entries for claim in entry.claims[:1]][-1:]
            letters = [(old, draw(st.integers(0, old.dead_lettered))) for old in before]
            brought = [resolved(old, number) for old, number in letters if number]
            entries.append(
                Entry(
                    epoch=epoch,
                    kind="resolved",
                    claims=tuple(one.result for one in brought),
                    superseded=tuple(old for old, number in letters if number),
                    remade=tuple(path for one in brought for path in one.staged),
                    **common,
                )
            )
        else:
            before = [claim for entry in entries for claim in entry.claims[:1]][-1:]
            after = tuple(
                result(
                    old.claim.first_offset,
                    old.claim.last_offset,
                    source=old.claim.source,
                    gaps=[Gap("expired", old.claim.first_offset, old.claim.first_offset)],
                )
                for old in before
            )
            remade = tuple(file.path for one in after for file in one.files)
            entries.append(
                Entry(
                    epoch=epoch,
                    kind="repaired",
                    claims=after,
                    superseded=tuple(before),
                    remade=remade,
                    **common,
                )
            )
    return entries


@settings(deadline=None)
@given(histories())
def test_entries_survive_being_written_down(entries: list[Entry]) -> None:
    assert [Entry.from_bytes(entry.to_bytes(), entry.seq) for entry in entries] == entries
    assert list(to_entries(to_table(entries))) == entries


@settings(deadline=None)
@given(histories(), st.data())
def test_rows_sum_up_to_what_entries_do(entries: list[Entry], data: st.DataObject) -> None:
    one_by_one = LedgerState()
    for entry in entries:
        one_by_one.apply(entry)
    cut = data.draw(st.integers(0, len(entries)))
    at_once = LedgerState()
    for part in (entries[:cut], entries[cut:]):
        if part:
            add_to_state(at_once, to_table(part), part[0].seq, part[-1].seq)
    for state in (one_by_one, at_once):
        state.dead_letters_by_reason += type(state.dead_letters_by_reason)()
    assert at_once == one_by_one
    assert at_once.balance().difference == 0


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"format": 2}',
        b'{"format": 1}',
        Entry(8, 1, "opened", NOW, "w", -1).to_bytes(),
        Entry(7, 1, "opened", NOW, "w", -1).to_bytes().replace(b"opened", b"guessed"),
        Entry(7, 1, "opened", NOW, "w", -1).to_bytes()[:-20],
    ],
)
def test_what_is_no_entry_is_refused_with_its_name(broken: bytes) -> None:
    with pytest.raises(LedgerCorrupt, match=log_path(7)):
        Entry.from_bytes(broken, 7)


def test_rows_that_contradict_each_other_are_refused() -> None:
    def entry(seq: int, *claims: tuple[int, int], epoch: int = 1) -> Entry:
        results = tuple(result(*claim) for claim in claims)
        return Entry(seq, epoch, "committed", NOW, "w", -1, claims=results)

    opened = Entry(0, 1, "opened", NOW, "w", -1)
    for entries, complaint in [
        ([opened, entry(1, (0, 9)), entry(3, (10, 19))], "each of them once"),
        ([opened, entry(1, (0, 9)), entry(2, (0, 9))], "claimed twice"),
        ([opened, entry(1, (0, 9), (5, 7))], "claimed twice"),
        ([opened, entry(1, (0, 9), (10, 12), (12, 13))], "claimed twice"),
        ([opened, entry(1, (0, 9)), entry(2, (10, 19), epoch=0)], "do not follow"),
    ]:
        with pytest.raises(LedgerCorrupt, match=complaint):
            add_to_state(LedgerState(), to_table(entries), 0, entries[-1].seq)


# The order of files.


def test_paths_tell_what_they_hold() -> None:
    assert seq_of(log_path(12)) == 12
    assert seq_of("ledger/log/12.json") is None
    assert seq_of("ledger/log/README") is None
    for level in range(LEVELS):
        segment = Segment.holding(3 * BLOCK * FANOUT**level + 1, level)
        assert Segment.of(segment.path) == segment
        assert segment.level == level
    assert Segment.of(Segment(0, 10).path) is None
    assert Segment.of(Segment(10, 10 + BLOCK - 1).path) is None
    assert Segment.of("ledger/folded/notes.txt") is None


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(0, 40))
def test_folding_keeps_the_order_and_the_number_of_files(count: int, cut: int) -> None:
    """Follow `next_compaction` to its end; stop anywhere, and nothing is missing or twice."""
    log, segments = set(range(count)), set[Segment]()
    steps = 0
    while True:
        files = choose_files(log, segments)
        assert files.last_seq == count - 1
        held = [seq for one in files.segments for seq in range(one.first_seq, one.last_seq + 1)]
        assert [*held, *files.log_seqs] == list(range(count))
        segment = next_compaction(files, through_seq=count - 1)
        if segment is None:
            break
        segments.add(segment)
        steps += 1
        if steps == cut:
            # Cut short: what is folded is still there, and is known to be left over.
            left_over = choose_files(log, segments).left_over
            parts = segment.parts if segment.level else range(segment.first_seq, segment.last_seq)
            assert len(left_over) >= len(parts)
            continue
        if segment.level:
            segments -= set(segment.parts)
        else:
            log -= set(range(segment.first_seq, segment.last_seq + 1))
    files = choose_files(log, segments)
    assert len(files.log_seqs) < BLOCK
    assert len(files.segments) < FANOUT * 3


def test_what_may_not_be_folded_yet_is_not() -> None:
    files = LedgerFiles((), range(200), ())
    assert next_compaction(files, through_seq=BLOCK - 2) is None
    assert next_compaction(files, through_seq=BLOCK - 1) == Segment(0, BLOCK - 1)


@pytest.mark.parametrize(
    ("log", "segments", "missing"),
    [
        ({0, 1, 3}, [], 2),
        ({1}, [], 0),
        (set(), [Segment(BLOCK, 2 * BLOCK - 1)], 0),
        ({BLOCK + 1}, [Segment(0, BLOCK - 1)], BLOCK),
        (set(range(BLOCK)) - {5}, [Segment(BLOCK, 2 * BLOCK - 1)], 5),
    ],
)
def test_a_hole_is_named(log: set[int], segments: list[Segment], missing: int) -> None:
    with pytest.raises(LedgerCorrupt, match=f"entry {missing} of the ledger is missing"):
        choose_files(log, segments)


# On a file system.


def test_a_zombies_entry_under_a_folded_number_is_seen_by_nobody(storage: Storage) -> None:
    living = Ledger.take_over(storage)
    for n in range(BLOCK):
        living.append([unstaged(result(n, n))])
    living.mark_published(list(living.unpublished))
    assert compact_now(living) == 1
    stray = Entry(3, 1, "committed", NOW, "zombie", -1, claims=(result(5000, 5009),))
    assert storage.create(stray.path, stray.to_bytes())
    assert covering(storage, 3) == Segment(0, BLOCK - 1)
    assert read_state(storage).state.frontier(ZTF) == BLOCK
    assert [entry.seq for entry in read_entries(storage)] == list(range(BLOCK + 1))
    assert len(read_claims(storage)) == BLOCK
    Ledger.take_over(storage)
    assert storage.size_bytes(stray.path) is None


def test_a_reader_begins_again_when_a_file_is_folded_away(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a reader's listing and its reading the writer folds; also in the middle."""
    living = Ledger.take_over(storage)
    for n in range(3 * BLOCK):
        living.append([unstaged(result(n, n))])
    living.mark_published(list(living.unpublished))
    order = ledger_read._files
    folds = iter([BLOCK - 1, 3 * BLOCK - 1])

    def order_then_compact(storage: Storage) -> LedgerFiles:
        listed = order(storage)
        through = next(folds, None)
        if through is not None:
            monkeypatch.setattr(ledger_read, "_files", order)
            compact(storage, through, "staging/test")
            monkeypatch.setattr(ledger_read, "_files", order_then_compact)
        return listed

    monkeypatch.setattr(ledger_read, "_files", order_then_compact)
    assert [entry.seq for entry in read_entries(storage)] == list(range(3 * BLOCK + 1))
    folds = iter([3 * BLOCK - 1])
    assert read_state(storage).state.frontier(ZTF) == 3 * BLOCK


def test_a_folded_file_that_is_cut_is_named(storage: Storage) -> None:
    living = Ledger.take_over(storage)
    for n in range(BLOCK):
        living.append([unstaged(result(n, n))])
    living.mark_published(list(living.unpublished))
    compact_now(living)
    path = Segment(0, BLOCK - 1).path
    storage.replace(path, read_bytes(storage, path)[:-100])
    with pytest.raises(LedgerCorrupt, match=path):
        read_state(storage)


def test_a_repair_replaces_what_the_ledger_says_of_a_claim(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.append([unstaged(result(0, 9, dead=1)), unstaged(result(10, 19))])
    broken = result(0, 9, dead=1)
    mended = result(0, 9, dead=1, gaps=[Gap("expired", 3, 6)])
    ledger.append([StagedClaim(mended, {mended.files[0].path: "staging/x"})], kind="repaired")

    for state in (ledger.state, read_state(storage).state):
        sums = state.balance()
        assert (sums.received, sums.archived, sums.dead_lettered, sums.expired) == (20, 15, 1, 4)
    assert read_results(storage, [broken.claim]) == {broken.claim: mended}
    claims = read_claims(storage)
    assert claims["first_offset"].to_pylist() == [10, 0]
    assert read_claims(storage, through_seq=1)["expired"].to_pylist() == [0, 0]
    # A table for each entry: the claim that was repaired is left out of the first.
    for through_seq in (1, 2):
        tables = list(claim_tables(storage, COLUMNS, through_seq))
        assert len(tables) > 1
        assert pa.concat_tables(tables).equals(read_claims(storage, through_seq=through_seq))
    *_, entry = read_entries(storage)
    assert (entry.superseded, entry.remade) == ((broken,), (mended.files[0].path,))


def test_a_resolved_dead_letter_counts_as_the_alert_it_became(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    before = result(0, 9, dead=3)
    ledger.append([unstaged(before), unstaged(result(10, 19, dead=1))])
    first = resolved(before, 2)
    ledger.append([first], kind="resolved")
    for state in (ledger.state, read_state(storage).state):
        sums = state.balance()
        assert (sums.received, sums.archived, sums.dead_lettered, sums.difference) == (20, 18, 2, 0)
        assert state.dead_letters_by_reason == {"truncated": 2}
    assert ledger.append([first], kind="resolved") == 2  # tried again: known, not entered twice

    second = resolved(first.result)
    ledger.append([second], kind="resolved")
    ledger.append([resolved(result(10, 19, dead=1))], kind="resolved")
    ledger.mark_published(list(ledger.unpublished))
    assert read_state(storage).state.dead_letters_by_reason == {}
    (row,) = read_results(storage, [before.claim]).values()
    assert row == second.result
    assert row.resolved == (Interval(7, 7), Interval(8, 9))


def test_resolving_dead_letters_changes_nothing_else(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    before = result(0, 9, dead=3)
    ledger.append([unstaged(before)])
    good = resolved(before, 2)
    ledger.append([good], kind="resolved")
    for other in (
        replace(result(0, 9, dead=2), dead_letter_files=()),  # the letters are gone
        result(0, 9, dead=3),  # it is dead again
    ):
        with pytest.raises(ValueError, match=r"changes nothing else|has 10 offsets"):
            ledger.append([StagedClaim(other, {"alerts/new": "staging/x"})], kind="resolved")
    twice = replace(good.result, resolved=(Interval(8, 9), Interval(9, 9)))
    with pytest.raises(ValueError, match=r"overlaps|has 10 offsets"):
        ledger.append([StagedClaim(twice)], kind="resolved")
    assert ledger.totals().dead_lettered == 1


def test_a_ledger_from_before_the_first_resolved_letter_is_read(storage: Storage) -> None:
    """And folded on, together with what came later."""
    ledger = Ledger.take_over(storage)
    for n in range(BLOCK):
        ledger.append([unstaged(result(n, n))])
    ledger.mark_published(list(ledger.unpublished))
    compact_now(ledger)
    folded = Segment(0, BLOCK - 1).path
    old = read_parquet(storage, folded).drop_columns("resolved")
    overwrite_parquet(storage, folded, old)
    for file in storage.files("ledger/log"):
        data = read_bytes(storage, file.path).replace(b',"resolved":[]', b"")
        # Nor had such a ledger checksums.
        storage.replace(file.path, data.rpartition(b',"crc32":')[0] + b"}\n")
    assert [entry.seq for entry in read_entries(storage)] == list(range(BLOCK + 1))
    assert read_claims(storage)["resolved"].null_count == BLOCK - 1
    assert read_state(storage).state.balance().archived == BLOCK


def test_only_what_is_there_can_be_repaired(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.append([unstaged(result(0, 9))])
    with pytest.raises(LedgerCorrupt, match="not in the ledger"):
        ledger.append([unstaged(result(10, 19))], kind="repaired")
    with pytest.raises(LedgerCorrupt, match="not in the ledger"):
        ledger.append([unstaged(result(0, 8))], kind="repaired")
    with pytest.raises(ValueError, match="not staged and not known"):
        ledger.append([StagedClaim(result(0, 9, dead=1))], kind="repaired")


def test_the_schema_of_the_folded_files_is_what_is_documented() -> None:
    """Others read these files: a change is a new format."""
    table = to_table([Entry(0, 1, "committed", NOW, "w", -1, claims=(result(0, 9, dead=1),))])
    assert table.schema.metadata == {b"finkray.ledger.format": b"1"}
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    (row,) = table.to_pylist(maps_as_pydicts="strict")
    assert row["dead_letters_by_reason"] == {"truncated": 1}
    assert [file["rows"] for file in row["files"]] == [9]
