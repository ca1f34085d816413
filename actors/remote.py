"""A catalogue on the web: a client with a time limit and a circuit breaker.

It answers as a catalogue on disk does; an alert without an answer is `not_checked`. A call takes
at most the time limit, and no time while the breaker is open.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from actors.matching import MATCH, NO_POSITION, NONE, NOT_CHECKED
from finkray.circuit_breaker import CircuitBreaker
from finkray.settings.catalogs import REMOTE_FAILURES, REMOTE_REST_S, REMOTE_TIMEOUT_S
from finkray.text import error_text

TIMED_OUT: Final = "timed_out"
"""The service did not answer in time."""
FAILED: Final = "failed"
"""The service could not be reached, refused the request, or its answer was not valid."""
RESTING: Final = "resting"
"""The service failed several times in a row: its breaker is open."""

ANSWER: Final = pa.schema(
    [
        ("status", pa.string()),
        ("reason", pa.string()),
        ("version", pa.string()),
        ("number", pa.int32()),
        ("separation_arcsec", pa.float64()),
        ("source", pa.map_(pa.string(), pa.string())),
    ]
)
"""The columns of a remote catalogue's answer."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteMatch:
    """The sources that a service found for one position.

    Attributes
    ----------
    index
        of the position among those of the request
    separation_arcsec
        of the nearest source
    number
        of sources within the radius
    source
        columns of the nearest, as text
    """

    index: int
    separation_arcsec: float
    number: int
    source: dict[str, str | None]


class Client(Protocol):
    """The client of a service on the web."""

    def ask(
        self,
        ra_deg: np.ndarray,
        dec_deg: np.ndarray,
        radius_arcsec: float,
        cancelled: threading.Event,
    ) -> Sequence[RemoteMatch]:
        """Return the sources near positions; positions without a source are left out.

        Any exception means that there is no answer, or none that is known to be whole. Once
        `cancelled` is set no caller waits: return soon.
        """


@dataclass(slots=True)
class _Reply:
    matches: Sequence[RemoteMatch] | None = None
    error: str = ""


class RemoteCatalog:
    """A catalogue whose sources a service on the web finds.

    Parameters
    ----------
    name, version
        for the answers
    client
        of the service
    radius_arcsec
        a source within this separation is a match
    timeout_s
        for a batch, in seconds
    breaker
        decides when no requests are sent, after failures
    clock
        monotonic clock in seconds, for the breaker
    """

    def __init__(
        self,
        name: str,
        version: str,
        client: Client,
        radius_arcsec: float,
        *,
        timeout_s: float = REMOTE_TIMEOUT_S,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.version = version
        self.radius_arcsec = radius_arcsec
        self._client = client
        self._timeout_s = timeout_s
        self._breaker = breaker or CircuitBreaker(REMOTE_FAILURES, REMOTE_REST_S)
        self._clock = clock

    def match(self, positions: pa.Table) -> pa.Table:
        """Look alerts up; a failure of the service is `not_checked` and never raises.

        Parameters
        ----------
        positions
            `ra_deg`, `dec_deg`: degrees, anything may be null

        Returns
        -------
        pa.Table
            as `actors.matching.match`, but with `source` for `nearest`: a map of text
        """
        ra_deg, dec_deg = (
            positions[name].cast(pa.float64()).to_numpy() for name in ("ra_deg", "dec_deg")
        )
        with np.errstate(invalid="ignore"):
            good = np.flatnonzero(np.isfinite(ra_deg) & (np.abs(dec_deg) <= 90.0))
        reason = np.full(len(ra_deg), NO_POSITION, object)
        matches: dict[int, RemoteMatch] = {}
        if len(good):
            reply = self._ask(ra_deg[good] % 360.0, dec_deg[good])
            reason[good] = reply.error or None
            matches = {int(good[match.index]): match for match in reply.matches or ()}
        return self._answer(reason.tolist(), matches)

    def _ask(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> _Reply:
        if not self._breaker.allows(self._clock()):
            return _Reply(error=RESTING)
        self._breaker.begin()
        reply, done, cancelled = _Reply(), threading.Event(), threading.Event()

        def work() -> None:
            try:
                matches = self._client.ask(ra_deg, dec_deg, self.radius_arcsec, cancelled)
                reply.matches = _checked(matches, len(ra_deg))
            except TimeoutError:
                reply.error = TIMED_OUT
            except Exception as error:  # noqa: BLE001 - any failure of a client means no answer
                if not cancelled.is_set():
                    _LOG.warning("catalogue %s: request failed: %s", self.name, error_text(error))
                reply.error = FAILED
            done.set()

        # A thread that hangs is left behind; the breaker limits their number.
        threading.Thread(target=work, name=f"remote-{self.name}", daemon=True).start()
        if not done.wait(self._timeout_s):
            cancelled.set()
            self._breaker.failed(self._clock())
            _LOG.warning("catalogue %s: no answer within %g s", self.name, self._timeout_s)
            return _Reply(error=TIMED_OUT)
        if reply.error:
            self._breaker.failed(self._clock())
        else:
            self._breaker.succeeded()
        return reply

    def _answer(self, reason: list[str | None], matches: dict[int, RemoteMatch]) -> pa.Table:
        rows = []
        for alert, cause in enumerate(reason):
            match = matches.get(alert)
            if cause is not None:
                status, number = NOT_CHECKED, None
            else:
                status, number = (MATCH, match.number) if match else (NONE, 0)
            rows.append(
                {
                    "status": status,
                    "reason": cause,
                    "version": self.version,
                    "number": number,
                    "separation_arcsec": match.separation_arcsec if match else None,
                    "source": list(match.source.items()) if match else None,
                }
            )
        return pa.Table.from_pylist(rows, schema=ANSWER)


def _checked(matches: Sequence[RemoteMatch], positions: int) -> Sequence[RemoteMatch]:
    """Return the matches of a client if they are of positions in the request."""
    indices = {match.index for match in matches}
    if len(indices) != len(matches) or not indices <= set(range(positions)):
        raise ValueError("the answer has positions that are not in the request, or one twice")
    return matches
