"""docs/subscribe.md says of each client which form of messages it reads."""

import re
from pathlib import Path

from finkray.streamout.wire import Wire

PAGE = (Path(__file__).parents[3] / "docs" / "subscribe.md").read_text()


def test_a_client_that_reads_our_topics_does_so_in_a_form_that_we_send() -> None:
    (rows,) = re.findall(r"^\| client \| reads our topics .*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.M)
    clients = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()]
    assert {reads for _, reads, _ in clients} == {"yes", "no"}
    named = {wire for _, _, how in clients for wire in re.findall(r"--wire (\w+)", how)}
    assert named == set(Wire)
    assert not [how for _, reads, how in clients if reads == "no" and "--wire" in how]
