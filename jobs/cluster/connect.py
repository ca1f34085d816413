"""Find the Ray cluster for a command, and connect to it."""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from finkray.errors import ClusterUnavailable, SettingsError
from finkray.host.home import expanded
from finkray.host.ray_connection import connect_to_ray, errors_of_ray
from finkray.settings.ray import RaySettings
from jobs.cluster.local_ray import LocalRay, find_local_ray

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_CONNECT_TIMEOUT_S = 3.0


class WorkerLocation(StrEnum):
    """Location of the workers of a run."""

    RAY = "ray"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster: the local one that finkray started, or another one.

    Attributes
    ----------
    address
        `host:port` of its head.
    local
        Its record if it is the local one.
    """

    address: str
    local: LocalRay | None = None


def find_cluster(
    state: Path, settings: RaySettings, env: Mapping[str, str] = os.environ
) -> Cluster | None:
    """Return the cluster that settings and environment name; None if it is local and does not run.

    Raises
    ------
    SettingsError
        RAY_ADDRESS is not the address of a head.
    ClusterUnavailable
        No cluster answers at the named address.
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
    """Return whether the cluster's head, where drivers of jobs run, is this machine."""
    host = socket.gethostbyname(cluster.address.rpartition(":")[0])
    own_addresses = {address.address for card in psutil.net_if_addrs().values() for address in card}
    return host in own_addresses or host.startswith("127.")


def enter(cluster: Cluster, env: MutableMapping[str, str] = os.environ) -> None:
    """Set this process's environment for the cluster. Call this before the first import of ray.

    Ray reads these variables once, when it is imported.
    """
    env["RAY_ADDRESS"] = cluster.address
    env["RAY_USAGE_STATS_ENABLED"] = "0"
    if cluster.local:
        env.pop("RAY_AUTH_TOKEN", None)  # it would override the file with our token
        env.update(cluster.local.environment())
    elif _has_token(env):
        # As soon as there is a token, a cluster of `ray start` requires it.
        env.setdefault("RAY_AUTH_MODE", "token")


def _has_token(env: Mapping[str, str]) -> bool:
    named = "RAY_AUTH_TOKEN" in env or "RAY_AUTH_TOKEN_PATH" in env
    with suppress(SettingsError):  # a user without a home folder
        return named or expanded("~/.ray/auth_token").exists()
    return named


def job_client(cluster: Cluster) -> "JobSubmissionClient":
    """Return a client for the cluster's jobs.

    Raises
    ------
    SettingsError
        Ray refuses the token.
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
    """Connect to the cluster without its log output; yield the folder of its session.

    Parameters
    ----------
    cluster, settings
        The cluster, and the settings of Ray.
    ships_code
        Whether to start actors that need the code of `ray.working_dir`.

    Raises
    ------
    SettingsError
        Ray refuses the token.
    ClusterUnavailable
        Ray does not answer as it should.
    """
    enter(cluster)
    import ray

    on_sigterm = signal.getsignal(signal.SIGTERM)
    session = connect_to_ray(
        cluster.address,
        settings.namespace,
        quiet=True,
        working_dir=settings.working_dir if ships_code else "",
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would skip what a command does first
    try:
        yield session
    finally:
        ray.shutdown()
