"""Offsets of the consumer group, which nothing depends on."""

from pathlib import Path

import pytest

from finkray.claim import TopicPartition
from finkray.driver.group_offsets import GroupOffsetCommitter
from finkray.settings.kafka import KafkaSettings


def test_an_archive_drains_though_its_password_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = KafkaSettings(sasl_username="me", sasl_password_file=str(tmp_path / "gone"))
    committer = GroupOffsetCommitter(settings)
    for offset in (1, 2):
        committer.commit({TopicPartition("cluster", "topic", "id", 0): offset}, wait=True)
    committer.close()
    (told,) = caplog.messages
    assert "group finkray-archive are not committed" in told
    assert "sasl_password_file" in told
