"""All daemons that can be started, and the services that ship: the only lists of them.

To add a daemon, write a module here that defines its `Daemon` and its `main`, and add it to
`DAEMONS`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jobs.cluster.connect import Cluster, job_client
from jobs.cluster.job import Daemon
from jobs.cluster.ray_jobs import Jobs
from jobs.daemons.aggregation import AGGREGATION
from jobs.daemons.archive import ARCHIVE
from jobs.daemons.hats import HATS
from jobs.daemons.index import INDEX
from jobs.daemons.page import PAGE
from jobs.daemons.service import SERVICE
from jobs.daemons.simulator import SIMULATOR
from jobs.daemons.streamout import STREAMOUT

DAEMONS: Final[Mapping[str, Daemon]] = {
    daemon.name: daemon
    for daemon in (ARCHIVE, SIMULATOR, PAGE, AGGREGATION, HATS, INDEX, STREAMOUT)
}
"""Daemons by name, in the order of help texts, without `SERVICE`, which runs any service."""

SHIPPED: Final[Mapping[str, str]] = {
    "classify": "actors.classify:Classify",
    "crossmatch": "actors.crossmatch:Crossmatch",
    "outliers": "actors.outliers:Outliers",
    "remote_crossmatch": "actors.remote_crossmatch:RemoteCrossmatch",
}
"""``module:Name`` of each service that ships with finkray, by its name."""


def spec_named(text: str) -> str:
    """Return ``module:Name`` of a service that ships; any other text as it is."""
    return SHIPPED.get(text, text)


def jobs_on(cluster: Cluster, state: Path) -> Jobs:
    """Return the jobs of finkray on a cluster.

    Raises
    ------
    SettingsError
        Ray refuses the token.
    ClusterUnavailable
        Ray does not answer as it should.
    """
    return Jobs(job_client(cluster), state, tuple(DAEMONS.values()), SERVICE)
