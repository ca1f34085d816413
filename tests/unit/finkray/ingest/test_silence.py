"""When Kafka has been silent for too long."""

from finkray.ingest.silence import QUIET_S, Silence
from finkray.kafka.config import RENEW_CLIENT_S


def test_a_leader_is_queried_when_no_message_came_for_long() -> None:
    silence = Silence(100.0)
    assert not silence.is_quiet(100.0 + QUIET_S - 1)
    assert silence.is_quiet(100.0 + QUIET_S)
    silence.heard(100.0 + QUIET_S)
    assert not silence.is_quiet(100.0 + QUIET_S + 1)


def test_the_first_query_without_an_answer_is_no_trouble() -> None:
    silence = Silence(0.0)
    assert not silence.unanswered(30.0)
    assert silence.unanswered(33.0)
    silence.heard(34.0)
    assert not silence.unanswered(64.0)


def test_a_client_that_stays_silent_is_renewed_again_and_again() -> None:
    silence = Silence(0.0)
    silence.unanswered(30.0)
    assert not silence.renews_client(30.0 + RENEW_CLIENT_S - 1)
    assert silence.renews_client(30.0 + RENEW_CLIENT_S)
    assert not silence.renews_client(31.0 + RENEW_CLIENT_S), "a new client needs time to connect"
    silence.unanswered(90.0)
    assert silence.renews_client(90.0 + RENEW_CLIENT_S)


def test_an_answer_starts_the_time_again() -> None:
    silence = Silence(0.0)
    silence.unanswered(30.0)
    silence.heard(40.0)
    assert not silence.renews_client(30.0 + RENEW_CLIENT_S)
