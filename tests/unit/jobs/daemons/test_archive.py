"""What `finkray start archive` says when the archive runs."""

from typing import get_args

import pytest

from finkray.errors import KafkaUnavailable
from finkray.monitor.alarms import WHAT_TO_DO
from finkray.settings.model import Settings
from finkray.status.archive import Alarm, State
from jobs.daemons.archive import does_its_work, ready_text
from tests.support.snapshots import NIGHT, busy_night


def test_an_archive_that_reads_says_from_where_to_where() -> None:
    settings = Settings()
    text = ready_text(settings, busy_night())
    assert settings.kafka.bootstrap_servers in text
    assert settings.archive.uri in text


def test_an_archive_that_waits_for_kafka_is_no_success() -> None:
    code = "KAFKA_UNREACHABLE"
    alarm = Alarm(code=code, since=NIGHT, message="no broker", what_to_do=WHAT_TO_DO[code])
    with pytest.raises(KafkaUnavailable, match="runs and waits for Kafka: no broker") as error:
        ready_text(Settings(), busy_night(alarms=(alarm,)))
    assert error.value.retriable


@pytest.mark.parametrize("state", get_args(State))
def test_an_archive_that_was_stopped_while_it_started_is_not_said_to_run(state: State) -> None:
    snapshot = busy_night().model_copy(update={"state": state})
    assert does_its_work(snapshot) == (state == "running")
    assert not does_its_work(None)
