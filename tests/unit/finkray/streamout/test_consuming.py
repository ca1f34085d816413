"""Where a reader of a topic begins, and what it prints."""

import json
import math
from pathlib import Path

import pyarrow as pa
import pytest

from finkray.errors import FinkrayError, StorageError
from finkray.streamout.consuming import (
    Received,
    begin_offset,
    lines,
    refuse_another_topic,
    saved_positions,
)

SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "mag", "type": "double"},
        {"name": "name", "type": "string"},
        {"name": "image", "type": "bytes"},
    ],
}


@pytest.mark.parametrize(("position", "begins"), [(None, 5), (5, 5), (7, 7), (9, 9)])
def test_it_goes_on_behind_what_was_read(
    position: int | None, begins: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert begin_offset("stars[0]", position, 5, 9) == begins
    assert caplog.messages == []


def test_messages_that_expired_before_they_were_read_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert begin_offset("stars[0]", 2, 5, 9) == 5
    assert caplog.messages == [
        "stars[0]: 3 messages from 2 on expired in Kafka before they were read"
    ]


def test_a_topic_that_was_created_anew_is_not_mixed_with_the_old_one() -> None:
    with pytest.raises(FinkrayError, match=r"stars\[0\] ends at 9, and was read up to 10 before"):
        begin_offset("stars[0]", 10, 5, 9)


def test_a_line_is_json_whatever_the_alert_has() -> None:
    record = pa.array([math.nan], pa.float64()).buffers()[1].to_pybytes()[:8]
    record += bytes([8]) + b"\x1b[2J" + bytes([6]) + b"\0\1\2"
    received = Received("stars", 0, 0, 0, json.dumps(SCHEMA), (record,))
    (line,) = lines(received)
    assert json.loads(line, parse_constant=pytest.fail) == {
        "mag": None,
        "name": "\x1b[2J",
        "image": "3 bytes",
    }
    assert line.isprintable()


def test_a_folder_goes_on_with_the_topic_that_it_was_begun_with(tmp_path: Path) -> None:
    folder = tmp_path / "alerts"
    for _ in range(2):
        refuse_another_topic(folder, "bright", "id-1")
    refuse_another_topic(folder, "faint", "id-2")
    with pytest.raises(FinkrayError, match=r"bright was created anew .* save to another folder"):
        refuse_another_topic(folder, "bright", "id-3")
    assert saved_positions(folder, "bright") == {}
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be created"):
        refuse_another_topic(tmp_path / "file", "bright", "id-1")
