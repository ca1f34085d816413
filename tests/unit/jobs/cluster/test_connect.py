import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from finkray.errors import ClusterUnavailable, SettingsError
from finkray.host.process import ProcessRecord
from finkray.settings.ray import RaySettings
from jobs.cluster.connect import Cluster, enter, find_cluster, is_on_this_machine
from jobs.cluster.local_ray import LocalRay


@pytest.fixture
def head() -> Iterator[str]:
    """Something that takes connections, as a head does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def ours(folder: Path) -> LocalRay:
    process = ProcessRecord.of(1, "x")
    return LocalRay(process, "127.0.0.1:1", "http://127.0.0.1:2", folder, folder)


def test_nothing_named_and_nothing_of_ours(tmp_path: Path) -> None:
    assert find_cluster(tmp_path, RaySettings(), {}) is None
    assert find_cluster(tmp_path, RaySettings(address="local"), {"RAY_ADDRESS": "h:1"}) is None


def test_a_record_of_a_process_that_has_ended_is_no_cluster(tmp_path: Path) -> None:
    record = {
        "process": {"pid": 1, "started_at_unix_s": 12.0, "mark": "long gone"},
        "address": "127.0.0.1:1",
        "dashboard_url": "http://127.0.0.1:2",
        "folder": str(tmp_path / "gone"),
    }
    (tmp_path / "ray.json").write_text(json.dumps(record))
    assert find_cluster(tmp_path, RaySettings(), {}) is None


def test_settings_win_over_the_environment(tmp_path: Path, head: str) -> None:
    assert find_cluster(tmp_path, RaySettings(), {"RAY_ADDRESS": head}) == Cluster(head)
    assert find_cluster(tmp_path, RaySettings(address=head), {"RAY_ADDRESS": "x:1"}) == Cluster(
        head
    )


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "ray://head:10001", "head"])
def test_only_the_address_of_a_head_will_do(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="RAY_ADDRESS"):
        find_cluster(tmp_path, RaySettings(), {"RAY_ADDRESS": address})


def test_a_head_that_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ClusterUnavailable, match=f"no Ray answers at 127.0.0.1:{port}"):
        find_cluster(tmp_path, RaySettings(address=f"127.0.0.1:{port}"), {})


def test_where_the_head_is() -> None:
    assert is_on_this_machine(Cluster("127.0.0.1:6379"))
    assert is_on_this_machine(Cluster("localhost:6379"))
    # TEST-NET-3 of RFC 5737: an address that no machine has.
    assert not is_on_this_machine(Cluster("203.0.113.7:6379"))


def test_the_token_of_our_own_cluster_wins_over_the_environment(tmp_path: Path) -> None:
    env = {"RAY_AUTH_TOKEN": "another", "RAY_AUTH_MODE": "disabled"}
    enter(Cluster("127.0.0.1:1", ours(tmp_path)), env)
    assert "RAY_AUTH_TOKEN" not in env
    assert env["RAY_AUTH_MODE"] == "token"
    assert env["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "auth_token")


def test_the_token_of_another_cluster_is_its_users_matter() -> None:
    env = {"RAY_AUTH_TOKEN": "mine"}
    enter(Cluster("127.0.0.1:1"), env)
    assert (env["RAY_AUTH_TOKEN"], env["RAY_AUTH_MODE"]) == ("mine", "token")
    env = {"RAY_AUTH_TOKEN": "mine", "RAY_AUTH_MODE": "disabled"}
    enter(Cluster("127.0.0.1:1"), env)
    assert env["RAY_AUTH_MODE"] == "disabled"
