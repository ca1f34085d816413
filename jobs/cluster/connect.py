"""Which Ray a command means, and the way in."""

import os
import socket
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from finkray.errors import ClusterUnavailable, SettingsError
from finkray.host.ray_connection import connect_to_ray, errors_of_ray
from finkray.settings.ray import RaySettings
from jobs.cluster.local_ray import LocalRay, find_local_ray

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_CONNECT_TIMEOUT_S = 3.0


class Place(StrEnum):
    """Where a run has its workers."""

    RAY = "ray"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster: the local one of our own, or one that was there.

    Attributes
    ----------
    address
        `host:port` of its head.
    local
        What we know of it if it is our own.
    """

    address: str
    local: LocalRay | None = None


def find_cluster(
    state: Path, settings: RaySettings, env: Mapping[str, str] = os.environ
) -> Cluster | None:
    """The cluster that the settings and the environment mean; None: ours, which does not run.

    Raises
    ------
    SettingsError
        RAY_ADDRESS is not the address of a head.
    ClusterUnavailable
        A cluster is named, and none answers there.
    """
    address = settings.address
    if address == "auto":
        address = env.get("RAY_ADDRESS", "local")
    if address == "local":
        local = find_local_ray(state)
        return Cluster(local.address, local) if local else None
    host, separator, port = address.rpartition(":")
    if not separator or "/" in host or not port.isdecimal():
        raise SettingsError(
            f"environment: RAY_ADDRESS = {address!r}: expected host:port of Ray's head, "
            "such as 127.0.0.1:6379"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ClusterUnavailable(f"no Ray answers at {address}: {error}") from error
    return Cluster(address)


def is_on_this_machine(cluster: Cluster) -> bool:
    """Whether the cluster's head, where drivers of jobs run, is this machine."""
    host = socket.gethostbyname(cluster.address.rpartition(":")[0])
    mine = {address.address for card in psutil.net_if_addrs().values() for address in card}
    return host in mine or host.startswith("127.")


def enter(cluster: Cluster, env: MutableMapping[str, str] = os.environ) -> None:
    """Set this process's environment for the cluster; before the first import of ray.

    Ray reads these variables once, when it is imported.
    """
    env["RAY_ADDRESS"] = cluster.address
    env["RAY_USAGE_STATS_ENABLED"] = "0"
    if cluster.local:
        env.pop("RAY_AUTH_TOKEN", None)  # it would win over our token's file
        env.update(cluster.local.environment())
    elif _has_token(env):
        # `ray start` of itself asks for tokens as soon as there is one.
        env.setdefault("RAY_AUTH_MODE", "token")


def _has_token(env: Mapping[str, str]) -> bool:
    named = "RAY_AUTH_TOKEN" in env or "RAY_AUTH_TOKEN_PATH" in env
    return named or (Path.home() / ".ray" / "auth_token").exists()


def job_client(cluster: Cluster) -> "JobSubmissionClient":
    """A client for the cluster's jobs.

    Raises
    ------
    SettingsError
        Ray refuses our token.
    ClusterUnavailable
        Ray does not answer as it should.
    """
    enter(cluster)
    from ray.job_submission import JobSubmissionClient

    with errors_of_ray():
        url = cluster.local.dashboard_url if cluster.local else cluster.address
        return JobSubmissionClient(url)


@contextmanager
def connected(
    cluster: Cluster, settings: RaySettings, *, ships_code: bool = False
) -> Iterator[Path]:
    """Be a driver of the cluster, quietly; gives the folder of its session.

    Parameters
    ----------
    cluster, settings
        Which.
    ships_code
        Whether actors are started, which need the code of `ray.working_dir`.

    Raises
    ------
    SettingsError
        Ray refuses our token.
    ClusterUnavailable
        Ray does not answer as it should.
    """
    enter(cluster)
    import ray

    session = connect_to_ray(
        cluster.address,
        settings.namespace,
        quiet=True,
        working_dir=settings.working_dir if ships_code else "",
    )
    try:
        yield session
    finally:
        ray.shutdown()
