"""The seam to a service on the web, against a server on this machine that behaves badly."""

import time

import pytest

from actors.cds import CdsXMatch
from actors.remote import RemoteCatalog, RemoteMatch
from finkray.circuit_breaker import CircuitBreaker
from tests.support.made_catalogs import alerts
from tests.support.sky_server import Sky


def catalog(sky: Sky, **more: object) -> RemoteCatalog:
    return catalog_at(sky.address, **more)


def catalog_at(address: str, **more: object) -> RemoteCatalog:
    client = CdsXMatch("simbad", address=address, socket_timeout_s=10.0)
    options = {"timeout_s": 10.0, "breaker": CircuitBreaker(failures=3, rest_s=60.0), **more}
    return RemoteCatalog("simbad", "remote", client, 1.0, **options)  # type: ignore[arg-type]


HERE = alerts([10.0, 359.9999, 40.0, None], [5.0, -5.0, 5.0, 5.0])


def test_a_service_that_is_well_answers_as_a_catalogue(sky: Sky) -> None:
    one, two, three, four = catalog(sky).match(HERE).to_pylist()
    assert (one["status"], one["number"], one["separation_arcsec"]) == ("match", 2, 0.0)
    assert dict(one["source"]) == {"main_id": "first", "otype": None}
    assert (two["status"], dict(two["source"])["main_id"]) == ("match", "third")
    assert (three["status"], three["number"], three["source"]) == ("none", 0, None)
    assert (four["status"], four["reason"]) == ("not_checked", "no_position")
    assert one["version"] == "remote"


@pytest.mark.parametrize("mood", ["hangs", "trickles"])
def test_a_service_that_hangs_or_trickles_is_given_up_in_time(sky: Sky, mood: str) -> None:
    sky.mood = mood
    began = time.monotonic()
    answer = catalog(sky, timeout_s=0.3).match(HERE)
    assert answer["reason"].to_pylist() == ["timed_out"] * 3 + ["no_position"]
    assert answer["status"].to_pylist() == ["not_checked"] * 4
    # Not by how much: the server would have hung for a minute.
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("mood", ["refuses", "drops", "babbles"])
def test_a_service_that_fails_is_not_taken_for_none(sky: Sky, mood: str) -> None:
    sky.mood = mood
    answer = catalog(sky).match(HERE)
    assert answer["reason"].to_pylist() == ["failed"] * 3 + ["no_position"]
    assert answer["number"].null_count == 4


@pytest.mark.parametrize("mood", ["well", "chunks"])
def test_an_answer_that_is_cut_short_is_no_answer(sky: Sky, mood: str) -> None:
    sky.mood, sky.whole = mood, False
    answer = catalog(sky).match(HERE)
    assert answer["status"].to_pylist() == ["not_checked"] * 4
    assert answer["reason"].to_pylist() == ["failed"] * 3 + ["no_position"]


def test_a_whole_answer_in_chunks_counts(sky: Sky) -> None:
    sky.mood = "chunks"
    assert catalog(sky).match(HERE)["status"].to_pylist()[:3] == ["match", "match", "none"]


def test_an_answer_whose_end_cannot_be_told_is_no_answer(sky: Sky) -> None:
    sky.mood = "ends anywhere"
    assert catalog(sky).match(HERE)["reason"].to_pylist()[:3] == ["failed"] * 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (",third,", ""),
        (",third,", ",third,,"),
        ("0.0,0,", "0.0,7,"),
        ("0.0,0,", "0.0,-1,"),
        ("0.0,0,", "nan,0,"),
        ("0.0,0,", "-1,0,"),
        ("0.0,0,", "500,0,"),
        ("main_id,otype", "main_id,main_id"),
        ("main_id,otype", "main_id,place"),
        ("third,", "third,\nError: the database is not available"),
        ("third,", '"third,'),
    ],
)
def test_an_answer_that_is_not_as_announced_is_no_answer(sky: Sky, old: str, new: str) -> None:
    sky.mood = "changes"

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    sky.change = change
    assert catalog(sky).match(HERE)["reason"].to_pylist()[:3] == ["failed"] * 3


def test_a_column_that_the_service_does_not_have_is_no_answer(sky: Sky) -> None:
    client = CdsXMatch("simbad", ["V"], address=sky.address)
    remote = RemoteCatalog("simbad", "remote", client, 1.0)
    assert remote.match(HERE)["reason"].to_pylist()[:3] == ["failed"] * 3


class Confused:
    """A client that answers about a position that was not asked for."""

    def ask(self, *_: object) -> list[RemoteMatch]:
        return [RemoteMatch(99, 0.1, 1, {})]


def test_a_client_that_confuses_positions_gives_no_answer() -> None:
    answer = RemoteCatalog("simbad", "remote", Confused(), 1.0).match(HERE)
    assert answer["reason"].to_pylist()[:3] == ["failed"] * 3


def test_a_service_that_is_not_there_is_not_taken_for_none() -> None:
    answer = catalog_at("http://127.0.0.1:9/xmatch").match(HERE)
    assert answer["reason"].to_pylist()[:3] == ["failed"] * 3


def test_after_some_failures_it_rests_and_one_try_decides(sky: Sky) -> None:
    now = [0.0]
    breaker = CircuitBreaker(failures=3, rest_s=60)
    remote = catalog(sky, breaker=breaker, clock=lambda: now[0])
    sky.mood = "refuses"
    reasons = [remote.match(HERE)["reason"].to_pylist()[0] for _ in range(6)]
    assert reasons == ["failed"] * 3 + ["resting"] * 3
    assert sky.asked == 3
    now[0] = 61.0
    assert remote.match(HERE)["reason"].to_pylist()[0] == "failed"
    assert remote.match(HERE)["reason"].to_pylist()[0] == "resting"
    assert sky.asked == 4
    now[0], sky.mood = 122.0, "well"
    assert remote.match(HERE)["status"].to_pylist()[0] == "match"
    sky.mood = "refuses"
    assert remote.match(HERE)["reason"].to_pylist()[0] == "failed"
    assert breaker.allows(now[0]), "one failure after a success is no reason to rest"
