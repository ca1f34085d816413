import threading
from pathlib import Path

import pytest

from finkray.host.lock import exclusive
from tests.support.archiving import wait_until


def test_who_waits_for_a_lock_says_for_what_and_gets_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, order = tmp_path / "services.lock", []

    def second() -> None:
        with exclusive(path):
            order.append("second")

    with exclusive(path):
        waiting = threading.Thread(target=second)
        waiting.start()
        wait_until("it says that it waits", lambda: f"`fuser {path}`" in caplog.text)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
