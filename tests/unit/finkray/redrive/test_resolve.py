"""Dead letters that decode later become alerts, once, whatever happens on the way."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

import finkray
from finkray.audit.audit import audit
from finkray.dead_letters.search import Selection, waiting_schema_ids
from finkray.errors import StorageError
from finkray.ledger.claims import read_claims
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.ledger.read import read_entries, read_state
from finkray.redrive.resolve import Resolver, ResolveResult
from finkray.storage.contract import Storage
from tests.support.avro_cases import container, sized
from tests.support.dead_letters import NEW, PAIR, Observatory, a_bad_night
from tests.support.torn_storage import Killed, TornStorage


@pytest.fixture
def observatory(tmp_path: Path) -> Observatory:
    observatory = Observatory(tmp_path)
    a_bad_night(observatory)
    return observatory


def redrive(
    observatory: Observatory, selection: Selection | None = None, storage: Storage | None = None
) -> ResolveResult:
    storage = storage or observatory.storage
    ledger = Ledger.take_over(storage)
    recover(ledger, storage)
    resolver = Resolver(observatory.settings, storage, ledger)
    return resolver.resolve(selection or Selection(), lambda _: None)


def letters_as_they_are(observatory: Observatory) -> dict[str, bytes]:
    return {
        file.path: observatory.storage.read(file.path) or b""
        for file in observatory.storage.walk("deadletters")
    }


def assert_balanced(observatory: Observatory, *, archived: int, dead: int) -> None:
    report = audit(observatory.storage, deep="all")
    assert report.balanced, report
    assert (report.received, report.archived, report.dead_lettered) == (12, archived, dead)


def test_letters_that_decode_now_are_alerts_once(observatory: Observatory) -> None:
    assert_balanced(observatory, archived=4, dead=8)
    letters = letters_as_they_are(observatory)
    archive = finkray.open_archive(observatory.storage.root)
    *_, last = archive.follow(wait_s=0)
    state = read_state(observatory.storage).state
    assert state.dead_letters_by_reason["unknown_schema"] == 5

    assert waiting_schema_ids(observatory.storage) == {NEW}

    observatory.schema_turns_up(NEW)
    done = redrive(observatory)
    assert waiting_schema_ids(observatory.storage) == set()
    assert (done.tried, done.alerts) == (8, 5)
    assert done.by_reason == {"truncated": 1, "not_avro": 1, "tombstone": 1}
    assert observatory.alert_offsets() == Counter([0, 1, 2, 3, 6, 7, 8, 9, 11])
    assert_balanced(observatory, archived=9, dead=3)
    assert letters_as_they_are(observatory) == letters
    assert "unknown_schema" not in read_state(observatory.storage).state.dead_letters_by_reason

    late = list(archive.follow(last.cursor, wait_s=0))
    assert sum(one.rows for one in late) == 5
    assert all(one.resolved and not one.repaired for one in late)
    assert archive.dataset().count_rows() == 9

    again = redrive(observatory)
    assert (again.tried, again.alerts) == (3, 0)
    assert observatory.alert_offsets() == Counter([0, 1, 2, 3, 6, 7, 8, 9, 11])
    assert [entry.kind for entry in read_entries(observatory.storage)].count("resolved") == 1


def test_alerts_that_no_reader_could_open_with_the_others_stay_dead(
    observatory: Observatory,
) -> None:
    """Until the schema that came first is taken out of the table."""
    fields = [{"name": "candid", "type": "string"}, {"name": "objectId", "type": "string"}]
    observatory.archive(12, [container({**PAIR, "fields": fields}, sized(b"12") + sized(b"x"))])
    selection = Selection(reasons=frozenset({"other_columns"}))
    for _ in range(2):
        done = redrive(observatory, selection)
        assert (done.tried, done.alerts, done.by_reason) == (1, 0, {"other_columns": 1})

    (entry,) = observatory.storage.files("schemas/tables/topic=alerts")
    observatory.storage.delete([entry.path])
    assert redrive(observatory, selection).alerts == 1


def test_letters_may_be_brought_in_one_after_the_other(observatory: Observatory) -> None:
    observatory.schema_turns_up(NEW)
    for offset, archived in ((6, 5), (1, 6), (11, 7)):
        done = redrive(observatory, Selection(first_offset=offset, last_offset=offset))
        assert (done.tried, done.alerts) == (1, 1)
        assert_balanced(observatory, archived=archived, dead=12 - archived)
    assert redrive(observatory).alerts == 2
    assert_balanced(observatory, archived=9, dead=3)
    resolved = read_claims(observatory.storage)["resolved"].to_pylist()
    assert [[(part["first_offset"], part["last_offset"]) for part in one] for one in resolved] == [
        [(1, 2), (6, 6)],
        [(7, 7), (11, 11)],
    ]


@pytest.mark.parametrize(("kills", "done_first"), [(True, False), (True, True), (False, True)])
def test_it_may_end_at_any_step_and_be_begun_anew(
    observatory: Observatory, quick_folder: Path, *, kills: bool, done_first: bool
) -> None:
    """The disk fails, or the process dies, before or after the n-th thing done to the storage."""
    prepared = observatory.folder
    struck, step = True, 0
    while struck:
        observatory = Observatory(Path(shutil.copytree(prepared, quick_folder / str(step))))
        observatory.schema_turns_up(NEW)
        torn = TornStorage(observatory.storage)
        torn.arm(step, kills=kills, done_first=done_first)
        try:
            redrive(observatory, storage=torn)
            struck = torn.steps is None
        except (Killed, StorageError):
            pass
        seen = observatory.alert_offsets()
        assert seen.total() == len(seen)
        state = read_state(observatory.storage).state
        assert state.balance().difference == 0

        redrive(observatory)
        assert observatory.alert_offsets() == Counter([0, 1, 2, 3, 6, 7, 8, 9, 11])
        assert_balanced(observatory, archived=9, dead=3)
        files = finkray.open_archive(observatory.storage.root).follow(wait_s=0)
        assert sum(one.rows for one in files) == 9
        step += 1
    assert step > 20


def test_a_letter_whose_file_is_gone_is_left_alone(observatory: Observatory) -> None:
    observatory.schema_turns_up(NEW)
    gone = next(iter(letters_as_they_are(observatory)))
    (observatory.storage.root / gone).unlink()
    done = redrive(observatory)
    assert done.unread == (gone,)
    assert done.alerts in (2, 3)
