"""docs/subscribe.md says of each client which form of messages it reads."""

import re
from pathlib import Path

import pytest

from finkray.settings.model import load
from finkray.streamout.wire import Wire

PAGE = (Path(__file__).parents[3] / "docs" / "subscribe.md").read_text()


def test_a_client_that_reads_our_topics_does_so_in_a_form_that_we_send() -> None:
    (rows,) = re.findall(r"^\| client \| reads our topics .*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.M)
    clients = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()]
    assert {reads for _, reads, _ in clients} == {"yes", "no"}
    named = {wire for _, _, how in clients for wire in re.findall(r"--wire (\w+)", how)}
    assert named == set(Wire)
    assert not [how for _, reads, how in clients if reads == "no" and "--wire" in how]


def test_the_settings_of_a_subscriber_make_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = re.findall(r"^```toml\n(# subscriber.toml\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "subscriber.toml").write_text(text)
    (tmp_path / "alice.password").write_text("a password\n")
    monkeypatch.chdir(tmp_path)
    config = load(Path("subscriber.toml"), {}).streamout_client_config()
    login = ("security.protocol", "sasl.mechanism", "sasl.username", "sasl.password")
    assert [config[name] for name in login] == ["SASL_SSL", "SCRAM-SHA-512", "alice", "a password"]
    # What the page says of other clients is what finkray itself sends.
    assert all(f'"{name}"' in PAGE for name in login)
