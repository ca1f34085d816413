"""Client of the cross-match service of the CDS in Strasbourg, for SIMBAD and the tables of VizieR.

    simbad = RemoteCatalog("simbad", "remote", CdsXMatch("simbad"), radius_arcsec=1.5)

A table of positions is posted as a form. The pairs come back as CSV, with the separation in the
column `angDist`, in arcsec (http://cdsxmatch.u-strasbg.fr/xmatch/doc/API-calls.html).

An answer counts only if it is known to be whole: CSV has no end of its own, so the response must
announce its length or be chunked, and every row must have as many values as the header.
"""

import csv
import http.client
import io
import math
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from email.message import Message
from typing import Final
from urllib.parse import urlsplit

import numpy as np

from actors.remote import RemoteMatch
from finkray.settings.catalogs import CDS_XMATCH, REMOTE_TIMEOUT_S

MOST_BYTES: Final = 64 * 1024 * 1024
"""A longer answer is refused."""

_INDEX: Final = "place"
"""Column that numbers the positions of a request."""

_SENT: Final = (_INDEX, "ra_of_alert", "dec_of_alert")
_SEPARATION: Final = "angDist"

_ROUNDING_ARCSEC: Final = 0.001
"""How far a separation may exceed the radius, because it comes as rounded text."""


class CdsXMatch:
    """Client for one table.

    Parameters
    ----------
    table
        `simbad`, or `vizier:` and the name of a table, such as `vizier:II/246/out`
    columns
        columns of the table to keep; empty: all
    address
        of the service
    socket_timeout_s
        for the connection and for each piece of the answer, in seconds
    """

    def __init__(
        self,
        table: str,
        columns: Sequence[str] = (),
        *,
        address: str = CDS_XMATCH,
        socket_timeout_s: float = REMOTE_TIMEOUT_S,
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
        """Return the nearest source of each position that has one, and how many there are."""
        lines = [",".join(_SENT)]
        lines += [f"{n},{ra!r},{dec!r}" for n, (ra, dec) in enumerate(_pairs(ra_deg, dec_deg))]
        fields = {
            "request": "xmatch",
            "distMaxArcsec": repr(radius_arcsec),
            "RESPONSEFORMAT": "csv",
            "colRA1": _SENT[1],
            "colDec1": _SENT[2],
            "cat2": self._table,
        }
        text = self._post(*_form(fields, "cat1", "\n".join(lines)), cancelled)
        return self._nearest(text, len(ra_deg), radius_arcsec)

    def _post(self, content_type: str, body: bytes, cancelled: threading.Event) -> str:
        host = self._address.netloc
        secure = self._address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(host, timeout=self._socket_timeout_s)
        try:
            connection.request("POST", self._address.path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise ConnectionError(f"{host} answered with status {response.status}")
            expected = _announced_bytes(host, response)
            pieces: list[bytes] = []
            size = 0
            while piece := response.read1(65536):
                pieces.append(piece)
                size += len(piece)
                if cancelled.is_set() or size > MOST_BYTES:
                    raise ConnectionError(f"{host} answered too slowly, or more than {MOST_BYTES}")
            # read1 does not say that the connection ended too early (cpython issue 115997); of a
            # chunked answer it does.
            if expected is not None and size != expected:
                raise ConnectionError(f"{host} sent {size} of {expected} bytes")
            return b"".join(pieces).decode(response.headers.get_content_charset("utf-8"))
        finally:
            connection.close()

    def _nearest(self, text: str, positions: int, radius_arcsec: float) -> list[RemoteMatch]:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = next(rows, [])
        self._check_names(names)
        best: dict[int, tuple[float, dict[str, str]]] = {}
        number: Counter[int] = Counter()
        for cells in rows:
            if len(cells) != len(names):
                raise ValueError(f"a row has {len(cells)} values, the header has {len(names)}")
            row = dict(zip(names, cells, strict=True))
            index, separation = int(row[_INDEX]), float(row[_SEPARATION])
            if not 0 <= index < positions:
                raise ValueError(f"a row is for position {index} of {positions}")
            if not (math.isfinite(separation) and separation >= 0):
                raise ValueError(f"{_SEPARATION} is {row[_SEPARATION]}")
            if separation > radius_arcsec + _ROUNDING_ARCSEC:
                raise ValueError(f"{_SEPARATION} is {separation}, the radius {radius_arcsec}")
            number[index] += 1
            if index not in best or separation < best[index][0]:
                best[index] = (separation, row)
        return [
            RemoteMatch(index, separation, number[index], self._source(row))
            for index, (separation, row) in best.items()
        ]

    def _check_names(self, names: Sequence[str]) -> None:
        expected = {_SEPARATION, _INDEX, *self._columns}
        if missing := sorted(expected - set(names)):
            raise ValueError(f"expected CSV with {', '.join(missing)}")
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            raise ValueError(f"the answer has {', '.join(twice)} twice")

    def _source(self, row: dict[str, str]) -> dict[str, str | None]:
        names = self._columns or [name for name in row if name not in (*_SENT, _SEPARATION)]
        return {name: row[name] or None for name in names}


def _announced_bytes(host: str, response: http.client.HTTPResponse) -> int | None:
    """Return the length that a response announces; None if it is chunked.

    Raises
    ------
    ConnectionError
        It does neither, so that its end cannot be told from a connection that broke.
    """
    headers: Message = response.headers
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ConnectionError(f"{host} compressed the answer, which was not asked for")
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return None
    length = headers.get("Content-Length", "")
    if not length.isdigit():
        raise ConnectionError(f"{host} does not say how long its answer is")
    return int(length)


def _pairs(ra_deg: np.ndarray, dec_deg: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(ra_deg.tolist(), dec_deg.tolist(), strict=True))


def _form(fields: dict[str, str], file_field: str, file_text: str) -> tuple[str, bytes]:
    """Return content type and body of a form with a file (RFC 7578)."""
    boundary = uuid.uuid4().hex
    sections = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    sections.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{file_field}"; '
        f'filename="alerts.csv"\r\nContent-Type: text/csv\r\n\r\n{file_text}\r\n'
    )
    sections.append(f"--{boundary}--\r\n")
    return f"multipart/form-data; boundary={boundary}", "".join(sections).encode()
