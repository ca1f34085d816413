"""What a child process prints: each line under its name, clipped, and a bounded number of lines."""

import subprocess
from pathlib import Path

import pytest

from finkray.host import child_output
from finkray.host.child_output import LINE_CHARS, LINES_PER_MIN, ChildOutput


def printed(*command: str) -> None:
    output = ChildOutput("service of a test")
    with subprocess.Popen(command, stdout=output.descriptor, stderr=output.descriptor):
        output.handed_over()
    output.join()


def test_each_line_has_the_name_and_no_control_character(caplog: pytest.LogCaptureFixture) -> None:
    printed("printf", r"one\n\033[2Jtwo\r\n\tthree \377\nlast")
    assert caplog.messages == [
        "service of a test printed: one",
        r"service of a test printed: \x1b[2Jtwo\r",
        r"service of a test printed:         three \xff",
        "service of a test printed: last",
    ]


def test_a_line_without_an_end_is_clipped(caplog: pytest.LogCaptureFixture) -> None:
    printed("head", "-c", "10000000", "/dev/zero")
    (line,) = caplog.messages
    assert len(line) <= len("service of a test printed: ") + LINE_CHARS
    assert line.endswith("…")


def test_what_is_too_much_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    printed("seq", "12345")
    assert len(caplog.messages) == LINES_PER_MIN + 1
    assert caplog.messages[-1] == (
        "service of a test printed 12\u2009245 more lines within a minute, which are left out"
    )


def test_the_next_minute_has_lines_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_output, "LINES_PER_MIN", 1)
    monkeypatch.setattr(child_output, "_MINUTE_S", 0.0)
    printed("seq", "3")
    assert len([line for line in caplog.messages if "printed: " in line]) == 3


def test_its_pipe_is_closed_when_the_child_has_ended() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    printed("true")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
