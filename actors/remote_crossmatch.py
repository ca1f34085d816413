"""Cross-match with services on the web, apart from that with catalogues on disk.

    finkray start remote_crossmatch

Its results stand in a folder of their own, and it has processes of its own: however slow the web
is, the answers of catalogues on disk are there.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa

import finkray
from actors.breaker import Breaker
from actors.cds import CdsXMatch
from actors.crossmatch import MATCHES, as_matches, matches_by_alert
from actors.remote import RemoteCatalog
from actors.settings import catalog_settings
from finkray import adapter
from finkray.errors import SettingsError
from finkray.settings.catalogs import RemoteSettings

VERSION: Final = "remote"
"""Of a catalogue that does not say its version; when it was asked stands in `computed_at`."""


class RemoteCrossmatch(finkray.Service):
    """Every alert in every catalogue on the web that the settings name (`[catalogs.remote]`).

    All are asked at the same time, each with its time limit and its breaker; an alert that one of
    them gave no answer about is `not_checked` there, with the reason.
    """

    name = "remote_crossmatch"
    version = "1"
    columns = adapter.columns("detection")
    output = pa.schema([("matches", MATCHES)])

    def setup(self) -> None:
        """Look which catalogues are to be asked; none of them is asked yet."""
        settings = catalog_settings(os.environ)
        if not settings.remote:
            raise SettingsError(
                "there is no catalogue on the web in the settings: docs/catalogs.md says how "
                "[catalogs.remote.simbad] is written"
            )
        self._catalogs = [remote_catalog(*item) for item in settings.remote.items()]

    def process(self, alerts: pa.Table) -> pa.Table:
        """Look alerts up in all of them."""
        positions = adapter.positions(alerts)
        with ThreadPoolExecutor(len(self._catalogs)) as pool:
            answers = list(pool.map(lambda one: one.match(positions), self._catalogs))
        matches = [
            as_matches(one.name, answer)
            for one, answer in zip(self._catalogs, answers, strict=True)
        ]
        return pa.table([matches_by_alert(matches, alerts.num_rows)], schema=self.output)


def remote_catalog(name: str, settings: RemoteSettings) -> RemoteCatalog:
    """A catalogue on the web, as the settings describe it.

    Parameters
    ----------
    name
        as it stands in the answers
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
        breaker=Breaker(settings.failures, settings.rest_s),
    )
