"""Cross-match with catalogues on the web, as a service of its own.

    finkray start remote_crossmatch

Its results and processes are separate from those of `crossmatch`, so that a slow catalogue on the
web never delays the answers of catalogues on disk.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa

import finkray
from actors.cds import CdsXMatch
from actors.crossmatch import MATCHES, as_matches, guarded_matches, matches_by_alert
from actors.remote import FAILED, RemoteCatalog
from actors.settings import catalog_settings
from finkray import adapter
from finkray.circuit_breaker import CircuitBreaker
from finkray.errors import SettingsError
from finkray.settings.catalogs import RemoteSettings

VERSION: Final = "remote"
"""Version of a catalogue that does not report one; the time of the request is `computed_at`."""


class RemoteCrossmatch(finkray.Service):
    """Look up every alert in every catalogue on the web of the settings (`[catalogs.remote]`).

    All are requested at the same time, each with its time limit and its circuit breaker. An alert
    without an answer is `not_checked` for that catalogue, with the reason; the others are not
    affected.
    """

    name = "remote_crossmatch"
    version = "1"
    columns = adapter.columns("detection")
    shares = ("catalogs",)
    output = pa.schema([("matches", MATCHES)])

    def setup(self) -> None:
        """Make the catalogues that the settings name, without a request to any of them."""
        settings = catalog_settings(self.shared)
        if not settings.remote:
            raise SettingsError(
                "there is no catalogue on the web in the settings: add a table such as "
                "[catalogs.remote.simbad] (docs/catalogs.md)"
            )
        self._catalogs = [remote_catalog(*item) for item in settings.remote.items()]

    def process(self, alerts: pa.Table) -> pa.Table:
        """Look the alerts up in all catalogues on the web."""
        positions = adapter.positions(alerts)
        with ThreadPoolExecutor(len(self._catalogs)) as pool:
            matches = list(pool.map(lambda catalog: _matches(catalog, positions), self._catalogs))
        return pa.table([matches_by_alert(matches, alerts.num_rows)], schema=self.output)


def _matches(catalog: RemoteCatalog, positions: pa.Table) -> pa.Array:
    """Return the answers of one catalogue; a fault in it is `not_checked` and stops no other."""
    return guarded_matches(
        catalog.name,
        positions.num_rows,
        FAILED,
        lambda: as_matches(catalog.name, catalog.match(positions)),
    )


def remote_catalog(name: str, settings: RemoteSettings) -> RemoteCatalog:
    """Make the catalogue on the web that the settings describe.

    Parameters
    ----------
    name
        for the answers
    settings
        its table in `[catalogs.remote]`
    """
    client = CdsXMatch(
        settings.table,
        settings.columns,
        address=settings.address,
        socket_timeout_s=settings.timeout_s,
    )
    return RemoteCatalog(
        name,
        VERSION,
        client,
        settings.radius_arcsec,
        timeout_s=settings.timeout_s,
        breaker=CircuitBreaker(settings.failures, settings.rest_s),
    )
