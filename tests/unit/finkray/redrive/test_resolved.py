"""Files with the alerts of dead letters vanish, and `finkray audit --redrive` makes them again."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

import finkray
from finkray.audit.audit import audit
from finkray.dead_letters.search import Selection
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.redrive.missing import Redriver, RedriveResult
from finkray.redrive.resolve import Resolver
from finkray.storage.contract import Storage
from tests.support.dead_letters import NEW, Observatory, a_bad_night
from tests.support.torn_storage import Killed, TornStorage

ALL = Counter([0, 1, 2, 3, 6, 7, 8, 9, 11])
BROUGHT_IN = {1, 2, 6, 7, 11}


@pytest.fixture
def observatory(tmp_path: Path) -> Observatory:
    """Of eight dead letters five were brought in."""
    observatory = Observatory(tmp_path)
    a_bad_night(observatory)
    observatory.schema_turns_up(NEW)
    bring_in(observatory)
    return observatory


def bring_in(observatory: Observatory) -> None:
    storage = observatory.storage
    ledger = Ledger.take_over(storage)
    recover(ledger, storage)
    Resolver(observatory.settings, storage, ledger).resolve(Selection(), lambda _: None)


def redrive(observatory: Observatory, storage: Storage | None = None) -> RedriveResult:
    storage = storage or observatory.storage
    ledger = Ledger.take_over(storage)
    recover(ledger, storage)
    redriver = Redriver(observatory.settings, storage, ledger)
    return redriver.redrive(audit(storage), lambda _: None)


def lose_what_was_brought_in(observatory: Observatory, files: int = 2) -> None:
    found = list(finkray.open_archive(observatory.storage.root).follow(wait_s=0))
    late = [one.path for one in found if one.resolved]
    assert len(late) == 2
    for path in late[:files]:
        (observatory.storage.root / path).unlink()


def balance(observatory: Observatory) -> tuple[int, int, int, bool]:
    report = audit(observatory.storage, deep="all")
    return report.archived, report.dead_lettered, report.difference, report.balanced


def test_they_are_found_missing_and_made_of_the_letters(observatory: Observatory) -> None:
    """Without Kafka, which there is none of here."""
    assert balance(observatory) == (9, 3, 0, True)
    archive = finkray.open_archive(observatory.storage.root)
    *_, last = archive.follow(wait_s=0)
    letters = {
        file.path: observatory.storage.read(file.path)
        for file in observatory.storage.walk("deadletters")
    }
    lose_what_was_brought_in(observatory)
    assert balance(observatory) == (4, 3, 5, False)

    assert redrive(observatory) == RedriveResult(alerts=5, files=2)
    assert observatory.alert_offsets() == ALL
    assert balance(observatory) == (9, 3, 0, True)
    assert letters == {path: observatory.storage.read(path) for path in letters}
    again = list(archive.follow(last.cursor, wait_s=0))
    assert sum(one.rows for one in again) == 5
    assert all(one.repaired for one in again)
    # Nothing is left to do for either command.
    assert redrive(observatory) == RedriveResult()
    bring_in(observatory)
    assert observatory.alert_offsets() == ALL


def test_what_does_not_decode_any_more_is_dead_until_it_does(observatory: Observatory) -> None:
    lose_what_was_brought_in(observatory)
    learnt = observatory.storage.root / "schemas" / "ids"
    schema, known = observatory.folder / "schemas" / f"{NEW}.avsc", observatory.folder / "known"
    shutil.move(learnt, known)
    schema.unlink()
    assert redrive(observatory) == RedriveResult(dead_again=5)
    assert observatory.alert_offsets() == ALL - Counter(BROUGHT_IN)
    assert balance(observatory) == (4, 8, 0, True)

    observatory.schema_turns_up(NEW)
    bring_in(observatory)
    assert observatory.alert_offsets() == ALL
    assert balance(observatory) == (9, 3, 0, True)


def test_it_may_end_at_any_step_and_be_begun_anew(
    observatory: Observatory, quick_folder: Path
) -> None:
    """The process dies before, or after, the n-th thing done to the storage."""
    lose_what_was_brought_in(observatory, files=1)
    struck, step = True, 0
    while struck:
        copy = Observatory(Path(shutil.copytree(observatory.folder, quick_folder / str(step))))
        torn = TornStorage(copy.storage)
        torn.arm(step, kills=True, done_first=step % 2 == 0)
        try:
            redrive(copy, torn)
            struck = torn.steps is None
        except Killed:
            pass
        seen = copy.alert_offsets()
        assert seen.total() == len(seen)
        redrive(copy)
        assert copy.alert_offsets() == ALL
        assert balance(copy) == (9, 3, 0, True)
        step += 1
    assert step > 10
