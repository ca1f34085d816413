"""What `finkray start` refuses before it brings a Ray up."""

import socket
from pathlib import Path

import pytest
import requests

from finkray.errors import ClusterUnavailable
from finkray.host.ray_connection import errors_of_ray
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


def test_a_simulator_that_cannot_play_is_refused_before_a_ray_starts(
    finkray: Finkray, tmp_path: Path
) -> None:
    answer = finkray("start", "simulator", FINKRAY__SIMULATOR__DATA=str(tmp_path / "none"))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"finkray: simulator.data: there is no {tmp_path / 'none'}\n"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = finkray("start", "simulator", FINKRAY__SIMULATOR__KAFKA_PORT=str(port))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert f"something listens on 127.0.0.1:{port} already" in answer.stderr


def test_a_wrong_option_of_kafka_is_refused_before_a_ray_starts(finkray: Finkray) -> None:
    answer = finkray("start", "archive", FINKRAY__KAFKA__OPTIONS='{"ssl.ca.locaton": "/ca.pem"}')
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        'finkray: kafka.options: No such configuration property: "ssl.ca.locaton"; did you mean '
        "ssl.ca.location?\n"
    )


@pytest.mark.parametrize(
    ("kafka", "own_kafka", "named"),
    [
        ("{}", "", "streamout.options"),
        ('{"client.id": "a"}', "", "kafka.options or streamout.options"),
        ('{"client.id": "a"}', "127.0.0.1:9", "streamout.options"),
    ],
)
def test_a_wrong_option_of_streaming_out_is_refused_before_a_ray_starts(
    finkray: Finkray, tmp_path: Path, kafka: str, own_kafka: str, named: str
) -> None:
    (tmp_path / "archive" / "ledger").mkdir(parents=True)
    answer = finkray(
        *("start", "streamout"),
        FINKRAY__KAFKA__OPTIONS=kafka,
        FINKRAY__STREAMOUT__OPTIONS='{"compresion.type": "lz4"}',
        FINKRAY__STREAMOUT__BOOTSTRAP_SERVERS=own_kafka,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        f'finkray: {named}: No such configuration property: "compresion.type"; did you mean '
        "compression.type?\n"
    )


def test_a_ray_that_ends_between_two_questions_is_no_bug() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ClusterUnavailable, match="Ray says"), errors_of_ray():
        requests.get(f"http://127.0.0.1:{port}/api/jobs/", timeout=60)
