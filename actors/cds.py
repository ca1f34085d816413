"""The cross-match service of the CDS in Strasbourg, for SIMBAD and any table of VizieR.

    client = CdsXMatch("simbad", socket_timeout_s=10.0)
    simbad = RemoteCatalog("simbad", "remote", client, radius_arcsec=1.5, timeout_s=10.0, breaker=…)

A table of positions is posted as a form, and the pairs come back as CSV with the separation in the
column `angDist`, in arcsec (http://cdsxmatch.u-strasbg.fr/xmatch/doc/API-calls.html).
"""

import csv
import http.client
import io
import threading
import uuid
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import numpy as np

from actors.remote import RemoteMatch
from finkray.settings.catalogs import CDS_XMATCH

MOST_BYTES: Final = 64 * 1024 * 1024
"""An answer that is longer is none."""

_OURS: Final = ("place", "ra_of_alert", "dec_of_alert")
_DISTANCE: Final = "angDist"


class CdsXMatch:
    """Asks one table.

    Parameters
    ----------
    table
        `simbad`, or `vizier:` and the name of a table, such as `vizier:II/246/out`
    columns
        which columns of it are kept; all without
    address
        where the service is
    socket_timeout_s
        for the connection and each piece of the answer, in seconds
    """

    def __init__(
        self,
        table: str,
        columns: Sequence[str] = (),
        *,
        address: str = CDS_XMATCH,
        socket_timeout_s: float,
    ) -> None:
        self._table = table
        self._columns = columns
        self._address = urlsplit(address)
        self._socket_timeout_s = socket_timeout_s

    def ask(
        self,
        ra_deg: np.ndarray,
        dec_deg: np.ndarray,
        radius_arcsec: float,
        cancelled: threading.Event,
    ) -> Sequence[RemoteMatch]:
        """What lies near positions: the nearest source of each, and how many there are."""
        lines = [",".join(_OURS)]
        lines += [f"{n},{ra!r},{dec!r}" for n, (ra, dec) in enumerate(_pairs(ra_deg, dec_deg))]
        fields = {
            "request": "xmatch",
            "distMaxArcsec": repr(radius_arcsec),
            "RESPONSEFORMAT": "csv",
            "colRA1": _OURS[1],
            "colDec1": _OURS[2],
            "cat2": self._table,
        }
        text = self._post(*_form(fields, "cat1", "\n".join(lines)), cancelled)
        return self._nearest(csv.DictReader(io.StringIO(text)))

    def _post(self, kind: str, body: bytes, cancelled: threading.Event) -> str:
        place = self._address
        to = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        connection = to(place.netloc, timeout=self._socket_timeout_s)
        try:
            connection.request("POST", place.path, body, {"Content-Type": kind})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise ConnectionError(f"{place.netloc} answered {response.status}")
            pieces: list[bytes] = []
            size = 0
            while piece := response.read1(65536):
                pieces.append(piece)
                size += len(piece)
                if cancelled.is_set() or size > MOST_BYTES:
                    raise ConnectionError(f"{place.netloc} answered too slowly or too much")
            return b"".join(pieces).decode()
        finally:
            connection.close()

    def _nearest(self, rows: "csv.DictReader[str]") -> list[RemoteMatch]:
        if not rows.fieldnames or not {_DISTANCE, _OURS[0]} <= set(rows.fieldnames):
            raise ValueError(f"expected CSV with {_DISTANCE} and {_OURS[0]}")
        best: dict[int, dict[str, str]] = {}
        number: dict[int, int] = {}
        for row in rows:
            place = int(row[_OURS[0]])
            number[place] = number.get(place, 0) + 1
            if place not in best or float(row[_DISTANCE]) < float(best[place][_DISTANCE]):
                best[place] = row
        return [
            RemoteMatch(place, float(row[_DISTANCE]), number[place], self._source(row))
            for place, row in best.items()
        ]

    def _source(self, row: dict[str, str]) -> dict[str, str | None]:
        names = self._columns or [name for name in row if name not in (*_OURS, _DISTANCE)]
        return {name: row[name] or None for name in names}


def _pairs(ra_deg: np.ndarray, dec_deg: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(ra_deg.tolist(), dec_deg.tolist(), strict=True))


def _form(fields: dict[str, str], file_field: str, file_text: str) -> tuple[str, bytes]:
    """Content type and body of a form with a file (RFC 7578)."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{file_field}"; '
        f'filename="alerts.csv"\r\nContent-Type: text/csv\r\n\r\n{file_text}\r\n'
    )
    parts.append(f"--{boundary}--\r\n")
    return f"multipart/form-data; boundary={boundary}", "".join(parts).encode()
