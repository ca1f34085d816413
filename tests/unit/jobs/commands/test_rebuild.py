"""`finkray ledger rebuild` as a person has it, on an archive whose last entry is damaged."""

import socket
from pathlib import Path

import pyarrow as pa
import pytest

from finkray.claim import Claim, ClaimResult, Gap, StagedClaim
from finkray.ledger.entry import log_path
from finkray.ledger.file_claims import LeftOut
from finkray.ledger.log import Ledger
from finkray.ledger.rebuild import RebuildResult
from finkray.results.store import ABOUT_PATH, ServiceDescription
from jobs.commands.rebuild import claims_of_services, rebuilt_text
from tests.support.commands import Finkray
from tests.support.dead_letters import SOURCE, Observatory, a_bad_night

NOTHING = RebuildResult(
    kept_entries=3,
    damaged=(),
    replayed_claims=0,
    claims_from_files=0,
    files=0,
    alerts=0,
    dead_letters=0,
    in_no_file=0,
    missing=0,
    short_topic_ids=(),
    left_out=(),
)


@pytest.fixture
def observatory(tmp_path: Path) -> Observatory:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    observatory = Observatory(tmp_path, bootstrap_servers=f"127.0.0.1:{port}")
    a_bad_night(observatory)
    return observatory


def test_a_readable_ledger_is_1_and_nothing_is_changed(
    finkray: Finkray, observatory: Observatory
) -> None:
    before = sorted(file.path for file in observatory.storage.walk("ledger/log"))
    answer = finkray("ledger", "rebuild", "-c", str(observatory.config))
    assert answer.returncode == 1
    assert "is readable and has 4 entries: nothing was changed" in answer.stderr
    assert sorted(file.path for file in observatory.storage.walk("ledger/log")) == before


def test_without_kafka_it_is_3_and_nothing_is_changed(
    finkray: Finkray, observatory: Observatory
) -> None:
    """The names of files have a part of the topic's id; Kafka has the whole."""
    observatory.storage.delete_folder("ledger/log")
    answer = finkray("ledger", "rebuild", "-c", str(observatory.config))
    assert answer.returncode == 3, answer.stderr
    assert not list(observatory.storage.walk("ledger/log"))


def test_a_folder_without_an_archive_is_2(finkray: Finkray, tmp_path: Path) -> None:
    observatory = Observatory(tmp_path)
    answer = finkray("ledger", "rebuild", "-c", str(observatory.config))
    assert answer.returncode == 2
    assert "there is no archive in" in answer.stderr


def test_services_say_where_claims_began_and_ended(observatory: Observatory) -> None:
    folder = observatory.storage.below("science/bright/1")
    output = pa.schema([("brightness", pa.float64())])
    about = ServiceDescription("bright", "1", "mine:Bright", ("candid",), output)
    folder.create(ABOUT_PATH, about.to_bytes())
    claim = Claim(SOURCE, 0, 6)
    nothing = ClaimResult(claim, gaps=(Gap("not_delivered", 0, 6),))
    seq = Ledger.take_over(folder).append([StagedClaim(nothing)])
    told: list[str] = []
    assert claims_of_services(observatory.storage, told.append) == {claim}
    assert told == []
    folder.replace(log_path(seq), b"damaged")
    assert claims_of_services(observatory.storage, told.append) == set()
    assert "results of bright 1 are not used" in told[0]


def test_everything_that_is_not_as_before_is_said() -> None:
    assert rebuilt_text(NOTHING) == (
        "3 entries of the ledger are kept\n"
        "0 claims come from files: 0 files with 0 alerts and 0 dead letters\n"
        "nothing was changed (--dry-run)"
    )
    text = rebuilt_text(
        RebuildResult(
            kept_entries=1,
            damaged=("ledger/log/2.json",),
            replayed_claims=2,
            claims_from_files=3,
            files=4,
            alerts=500,
            dead_letters=6,
            in_no_file=7,
            missing=8,
            short_topic_ids=("ztf",),
            left_out=tuple(LeftOut(f"file{n}", "why") for n in range(12)),
            set_aside="ledger-replaced/now",
            entries=9,
        )
    )
    for words in (
        "damaged, replaced: ledger/log/2.json",
        "2 claims come from entries after the damage",
        "3 claims come from files: 4 files with 500 alerts and 6 dead letters",
        "their files stand for them: ztf",
        "left out: file9: why\n… and 2 more left out; --json lists all of them",
        "15 offsets are in no file",
        "`finkray audit --redrive`",
        "what was replaced or left out is in ledger-replaced/now",
        "the ledger has 9 entries now: run `finkray audit`",
    ):
        assert words in text
