"""Connect this process to a Ray cluster, with errors from the tree of finkray.errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from finkray.errors import ClusterUnavailable, SettingsError

CONNECT_TRIES: Final = 2
"""How often Ray tries to connect. A try of an address where nothing answers takes 41 s, and Ray's
own default of 20 tries would be 14 minutes without an error; a supervisor tries again anyway."""

_TRIES_VARIABLE: Final = "RAY_gcs_server_port_wait_time_s"
"""Despite its name Ray takes it for the number of tries of a process that connects
(`ray._private.node.Node._init_gcs_client`)."""


def connect_to_ray(
    address: str,
    namespace: str,
    *,
    shows_actor_output: bool = False,
    quiet: bool = False,
    working_dir: str = "",
) -> Path:
    """Make this process a driver of the cluster; return the folder of its session.

    Ray installs signal handlers of its own: install yours again after this call. A Spark task
    attaches to the raylet of its own executor instead (`finkray.query.task`).

    Parameters
    ----------
    address
        `host:port` of the head; `local` or `auto`: the cluster of this machine
    namespace
        of the named actors
    shows_actor_output
        whether the output of actors is repeated here
    quiet
        whether Ray logs errors alone, as a command needs it
    working_dir
        folder with code that Ray ships to the actors; empty ships none

    Raises
    ------
    SettingsError
        Ray refuses the token.
    ClusterUnavailable
        No cluster answers as it should.
    """
    import ray

    with errors_of_ray(), _few_tries():
        context = ray.init(
            address="auto" if address == "local" else address,
            namespace=namespace,
            log_to_driver=shows_actor_output,
            logging_level="ERROR" if quiet else "INFO",
            runtime_env={"working_dir": working_dir} if working_dir else None,
        )
    return Path(context.address_info["session_dir"])


@contextmanager
def _few_tries() -> Iterator[None]:
    """Let Ray try to connect `CONNECT_TRIES` times, unless the environment says how often.

    The variable is removed again: `ray start`, which inherits it, takes it for seconds.
    """
    if _TRIES_VARIABLE in os.environ:
        yield
        return
    os.environ[_TRIES_VARIABLE] = str(CONNECT_TRIES)
    try:
        yield
    finally:
        del os.environ[_TRIES_VARIABLE]


@contextmanager
def errors_of_ray() -> Iterator[None]:
    """Turn errors of Ray into errors of finkray.

    Raises
    ------
    SettingsError
        Ray refuses the token.
    ClusterUnavailable
        Any other error of Ray.
    """
    from ray.exceptions import AuthenticationError, RayError

    try:
        yield
    except AuthenticationError as error:
        raise SettingsError(
            "Ray refuses our token: RAY_AUTH_TOKEN_PATH names the file with the cluster's token "
            "(and RAY_AUTH_MODE is token)"
        ) from error
    # When nothing listens, Ray's job client raises ConnectionError as it is made, and later that of
    # requests, which is another class: both are OSErrors.
    except (RayError, OSError, RuntimeError, ValueError) as error:
        raise ClusterUnavailable(f"Ray says: {error}") from error
