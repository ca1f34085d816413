"""The text that `finkray deadletters` prints of packets that try to control the terminal."""

import io

from rich.console import Console, RenderableType

from finkray.dead_letters.inspection import Inspection
from jobs.commands.deadletters import Count, Letter, LetterGroup
from jobs.commands.render_deadletters import counts_table, letter_text, rows_table

EVIL = "[red]\x1b[2J\nfinkray: all is well\u202etxt.exe"
SHOWN = r"[red]\x1b[2J\nfinkray: all is well\u202etxt.exe"


def printed(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=400, highlight=False)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_text_of_packets_is_printed_on_one_line_without_control_characters() -> None:
    row = {
        "kafka_topic": EVIL,
        "kafka_partition": 0,
        "kafka_offset": 4,
        "kafka_timestamp": None,
        "reason": "truncated",
        "detail": EVIL,
        "size_bytes": 10,
        "resolved": False,
        "cluster_id": EVIL,
        "topic_id": EVIL,
    }
    look = Inspection(wire_format=EVIL, schema_name=EVIL, now=EVIL, fields={EVIL: EVIL})
    letter = Letter(row=row, kept_bytes=10, head=[EVIL], inspection=look, alert_files=())
    for renderable in (
        rows_table([row]),
        counts_table({LetterGroup(EVIL, None, EVIL): Count(1, 0)}),
        letter_text(letter),
    ):
        text = printed(renderable)
        assert SHOWN in text
        assert text.replace("\n", "").isprintable()
        assert not any(line.startswith("finkray:") for line in text.splitlines())
