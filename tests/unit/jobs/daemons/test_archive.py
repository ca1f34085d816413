"""What `finkray start archive` says when the archive runs."""

import pytest

from finkray.errors import KafkaUnavailable
from finkray.monitor.alarms import WHAT_TO_DO
from finkray.settings.model import Settings
from finkray.status.archive import Alarm
from jobs.daemons.archive import ready_text
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
