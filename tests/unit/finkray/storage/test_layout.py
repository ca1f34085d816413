"""Paths say what they say, whatever the topic is called."""

import string
from datetime import UTC, date, datetime
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import TopicPartition
from finkray.storage.layout import (
    ArchivePath,
    alerts_path,
    dead_letters_path,
    parse_path,
    schema_path,
    topic_id8,
)

KAFKA_NAME = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=249)
TOPICS = KAFKA_NAME.filter(lambda name: name not in (".", ".."))
TOPIC_IDS = st.text(string.ascii_letters + string.digits + "_-", min_size=22, max_size=22)
OFFSETS = st.integers(0, 2**63 - 1)
SOURCES = st.builds(
    TopicPartition,
    cluster_id=st.just("cluster"),
    topic=TOPICS,
    topic_id=TOPIC_IDS,
    partition=st.integers(0, 2**31 - 1),
)
HOURS = st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)).map(  # noqa: DTZ001
    lambda at: at.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
)
FINGERPRINTS = st.text("0123456789abcdef", min_size=64, max_size=64)


NAME = f"t-AbCdEfgh-00003-{5:020d}-{6:020d}"


def test_the_pattern() -> None:
    source = TopicPartition("c", "ztf_20181129_programid1", "AbC-dEf_ghIJKLMNOPQRST", 3)
    hour = datetime(2018, 11, 29, 6, tzinfo=UTC)

    assert alerts_path(source, hour, 5, 1234, "0f" * 32) == (
        "alerts/topic=ztf_20181129_programid1/year=2018/month=11/day=29/hour=06/"
        "ztf_20181129_programid1-AbC-dEf_-00003-00000000000000000005-00000000000000001234-"
        "0f0f0f0f.parquet"
    )
    assert dead_letters_path(source, date(2018, 1, 2), 5, 5) == (
        "deadletters/topic=ztf_20181129_programid1/year=2018/month=01/day=02/"
        "ztf_20181129_programid1-AbC-dEf_-00003-00000000000000000005-00000000000000000005-"
        "dead.parquet"
    )
    assert schema_path("0f" * 32) == f"schemas/{'0f' * 32}.avsc"


@given(SOURCES, HOURS, OFFSETS, OFFSETS, FINGERPRINTS)
def test_paths_come_back(
    source: TopicPartition, hour: datetime, first: int, last: int, fingerprint: str
) -> None:
    about = (source.topic, topic_id8(source.topic_id), source.partition, first, last)
    alerts = alerts_path(source, hour, first, last, fingerprint)
    dead = dead_letters_path(source, hour.date(), first, last)

    assert parse_path(alerts) == ArchivePath(*about, hour, fingerprint[:8])
    assert parse_path(dead) == ArchivePath(*about, hour.replace(hour=0), None)


@given(SOURCES, HOURS, OFFSETS, FINGERPRINTS)
def test_every_reader_sees_the_file_and_every_file_system_takes_it(
    source: TopicPartition, hour: datetime, offset: int, fingerprint: str
) -> None:
    for path in (
        alerts_path(source, hour, offset, offset, fingerprint),
        dead_letters_path(source, hour.date(), offset, offset),
    ):
        for part in PurePosixPath(path).parts:
            assert part[0] not in "._"
            assert len(part) <= 255


@pytest.mark.parametrize(
    "path",
    [
        "",
        "alerts",
        "alerts/topic=t/year=2018/month=11/day=29/hour=06/x.parquet",
        "schemas/0f.avsc",
        f"alerts/topic=t/year=2018/month=13/day=29/hour=06/{NAME}-0f0f0f0f.parquet",
        f"alerts/topic=t/year=2018/month=11/day=29/hour=24/{NAME}-0f0f0f0f.parquet",
        f"alerts/topic=t/year=2018/month=11/day=29/hour=06/{NAME}-dead.parquet",
        f"alerts/topic=t/year=2018/month=11/day=29/{NAME}-0f0f0f0f.parquet",
        f"deadletters/topic=t/year=2018/month=11/day=29/{NAME}-0f0f0f0f.parquet",
        f"deadletters/topic=t/year=2018/month=11/day=29/hour=06/{NAME}-dead.parquet",
    ],
)
def test_another_path_is_none_of_ours(path: str) -> None:
    assert parse_path(path) is None


def test_ids_of_other_make_fit_in() -> None:
    assert topic_id8("") == "________"
    assert topic_id8("a/b c") == "a_b_c___"
