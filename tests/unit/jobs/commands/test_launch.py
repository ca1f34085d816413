"""What `finkray start` refuses before it brings a Ray up."""

import socket
from pathlib import Path

from tests.support.commands import Finkray


def test_a_taken_port_of_the_page_is_refused_before_a_ray_starts(
    finkray: Finkray, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = finkray("start", "ui", FINKRAY__UI__PORT=str(port))
    assert answer.returncode == 1
    # A local Ray that starts is told, and so is the folder of its logs when it stops.
    assert answer.stdout == ""
    assert answer.stderr == (
        f"finkray: something listens on 127.0.0.1:{port} already: set ui.port to another port\n"
    )
    assert not (tmp_path / "state" / "logs").exists()
