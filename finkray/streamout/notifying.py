"""Post digests of a topic to a webhook, in the form that Slack and its like take.

It reads the topic as anybody does, so that a slow chat never holds the writer. What was posted is
kept in a file, offset by offset: an alert whose post succeeded is not posted again. A post that
fails is made again, later each time; alerts that come meanwhile join it.
"""

import http.client
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow.compute as pc

from finkray.errors import SettingsError
from finkray.streamout.consuming import Received
from finkray.streamout.output_schema import ABOUT_FIELD
from finkray.streamout.wire import OBJECT_COLUMNS
from finkray.whole_file import whole_file

SHOWN_ALERTS: Final = 10
"""Alerts that a digest names; of the others it says how many there are."""

_TIMEOUT_S: Final = 10.0
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 300.0

log = logging.getLogger(__name__)


def refuse_address(address: str) -> None:
    """Raise SettingsError if a webhook's address is none; the message does not contain it.

    Raises
    ------
    SettingsError
        if it is not http or https, or has no valid host
    """
    if not address.lower().startswith(("http://", "https://")):
        raise SettingsError("the address of the webhook must begin with https:// or http://")
    try:
        parts = urlsplit(address)
        is_valid = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise SettingsError("the address of the webhook has no valid host or port: correct it")


def read_positions(path: Path) -> dict[int, int]:
    """Return by partition where to go on; {} if nothing was posted.

    Raises
    ------
    SettingsError
        if the file is damaged
    """
    try:
        return {int(key): int(value) for key, value in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"{path} does not say what was posted ({error}): delete it to post all of the topic"
        ) from error


@dataclass(slots=True)
class Digest:
    """Alerts that wait to be posted.

    Attributes
    ----------
    topic
        of the alerts
    alerts
        how many
    lines
        some of them, for people
    positions
        by partition, the offset behind them
    """

    topic: str
    alerts: int = 0
    lines: list[str] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)

    def add(self, received: Received) -> None:
        """Add the alerts of some messages; amendments are of alerts that were added before."""
        table = received.table()
        kinds = pc.struct_field(table[ABOUT_FIELD], "kind")
        alerts = table.filter(pc.not_equal(kinds, "amendment"))
        self.lines += map(_line, alerts.slice(0, SHOWN_ALERTS - len(self.lines)).to_pylist())
        self.alerts += alerts.num_rows
        self.positions[received.partition] = received.last + 1

    def to_json(self) -> dict[str, Any]:
        """Return the body of the post."""
        more = self.alerts - len(self.lines)
        lines = [f"{self.alerts:,} alerts in {self.topic}", *self.lines]
        return {"text": "\n".join([*lines, *([f"and {more:,} more"] if more else [])])}


class Notifier:
    """Posts digests of one topic.

    Parameters
    ----------
    address
        of the webhook; it is a secret
    topic
        its name
    positions_path
        where it is kept what was posted
    every_s
        least time between two posts
    stopping
        ends the waiting
    """

    def __init__(
        self,
        address: str,
        topic: str,
        positions_path: Path,
        every_s: float,
        stopping: threading.Event,
    ) -> None:
        refuse_address(address)
        self._address = address
        self._topic = topic
        self._path = positions_path
        self._every_s = every_s
        self._stopping = stopping
        self._waiting = Digest(topic)
        self._next_s = 0.0
        self._retry_s = _FIRST_RETRY_S
        self.positions = read_positions(positions_path)
        self.posts = 0

    @property
    def waits(self) -> bool:
        """Whether there are alerts that were not posted."""
        return self._waiting.alerts > 0

    def add(self, received: Received) -> None:
        """Take some messages for the next digest."""
        self._waiting.add(received)

    def post_if_due(self) -> None:
        """Post what waits, if the last post is long enough ago; note a failure, and retry later."""
        if not self.waits or time.monotonic() < self._next_s:
            return
        problem = _post(self._address, self._waiting.to_json())
        if problem:
            log.warning(
                "the webhook of %s failed, %d alerts wait; next try in %.0f s: %s",
                self._topic, self._waiting.alerts, self._retry_s, problem,
            )  # fmt: skip
            self._next_s = time.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)
            return
        self.positions |= self._waiting.positions
        self._keep()
        self.posts += 1
        self._waiting = Digest(self._topic)
        self._retry_s = _FIRST_RETRY_S
        self._next_s = time.monotonic() + self._every_s

    def go_on(self, follow: Callable[[bool], bool]) -> Callable[[bool], bool]:
        """Return a function for `TopicReader.batches`: posts after each look, until all is posted.

        Parameters
        ----------
        follow
            whether to go on after a look, by whether the topic was read to its end
        """

        def after_look(at_end: bool) -> bool:  # noqa: FBT001 - as `batches` calls it
            self.post_if_due()
            return not self._stopping.is_set() and (follow(at_end) or self.waits)

        return after_look

    def _keep(self) -> None:
        positions = {str(key): value for key, value in self.positions.items()}
        with whole_file(self._path) as file:
            file.write(json.dumps(positions).encode())


def _line(alert: Mapping[str, Any]) -> str:
    """Return what is said of an alert: its object and, if there is one, its brightness."""
    about = alert[ABOUT_FIELD]
    names = (_value(alert, column) for column in OBJECT_COLUMNS)
    name = next((each for each in names if each), f"{about['topic']}@{about['offset']}")
    mag = _value(alert, "candidate.magpsf")
    return f"{name}, {mag:.2f} mag" if isinstance(mag, float) else str(name)


def _value(alert: Mapping[str, Any], column: str) -> Any:
    value: Any = alert
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _post(address: str, body: Mapping[str, Any]) -> str:
    """Post a body; return why it failed, empty if it did not. The address is not in the reason."""
    request = urllib.request.Request(  # noqa: S310 - its scheme was checked
        address,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        moved = ": give the address that it has now" if error.code in _MOVED else ""
        return f"it answered {error.code} {error.reason}{moved}"
    except http.client.HTTPException as error:
        return f"it does not answer as a web server: {type(error).__name__}"
    except OSError as error:
        return f"it cannot be reached: {getattr(error, 'reason', error)}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: Python would follow with a GET, which has no alerts in it."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_NoRedirect)
_MOVED: Final = range(300, 400)
