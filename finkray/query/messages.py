"""Messages between the driver and the tasks of the Structured Streaming query.

The orders for claims that share files are sent to a task as one row of text, and the outcome of
each comes back as one. Both are JSON, so that Spark's own logs can be read without finkray.
"""

import json
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from finkray.claim import Claim, StagedClaim, TopicPartition
from finkray.errors import FinkrayError


@dataclass(frozen=True, slots=True)
class ClaimOrder:
    """An order to archive a claim whose batch the ingest actor `actor` holds.

    With `claim` None, the task only prepares itself: it connects and loads its modules.
    `archive_id` is the identity of the archive in whose folder `staging` the task writes.
    """

    claim: Claim | None
    actor: str
    generation: int
    staging: str
    archive_id: str


def orders_to_json(orders: Sequence[ClaimOrder]) -> str:
    """Return the orders for claims that may share files as one line of JSON."""
    return json.dumps([asdict(order) for order in orders])


def orders_from_json(text: str) -> list[ClaimOrder]:
    """Return the orders of a line from `orders_to_json`."""
    return [ClaimOrder(**raw | {"claim": _claim(raw["claim"])}) for raw in json.loads(text)]


@dataclass(frozen=True, slots=True)
class ClaimFailure:
    """Why a claim was not staged: the class name of the error and its message.

    `retriable` is the error's own property. It is true for an unexpected error: a fresh process may
    succeed, and one that fails again and again raises an alarm.
    """

    error_class: str
    message: str
    retriable: bool = True

    @classmethod
    def of(cls, error: Exception) -> "ClaimFailure":
        """Return the failure that reports this error."""
        if isinstance(error, FinkrayError):
            return cls(type(error).__name__, str(error), error.retriable)
        return cls("Unexpected", "".join(traceback.format_exception(error)))


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """The result of an order: a staged claim or a failure.

    Outcomes whose staged claims share files belong together: all of them count, or none.
    `node_id` is the Ray node that wrote the batch, `batch_node_id` the one that read it from Kafka.
    """

    claim: Claim | None
    generation: int
    staged: StagedClaim | None
    failure: ClaimFailure | None
    fetch_s: float = 0.0
    write_s: float = 0.0
    node_id: str = ""
    batch_node_id: str = ""
    pid: int = 0

    def to_json(self) -> str:
        """Return the message as one line of JSON."""
        raw: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("generation", "fetch_s", "write_s", "node_id", "batch_node_id", "pid")
        }
        raw["claim"] = None if self.claim is None else asdict(self.claim)
        raw["staged"] = None if self.staged is None else self.staged.to_json()
        raw["failure"] = None if self.failure is None else asdict(self.failure)
        return json.dumps(raw)

    @classmethod
    def from_json(cls, text: str) -> "ClaimOutcome":
        """Return the message of a line from `to_json`."""
        raw = json.loads(text)
        raw["claim"] = _claim(raw["claim"])
        raw["staged"] = None if raw["staged"] is None else StagedClaim.from_json(raw["staged"])
        raw["failure"] = None if raw["failure"] is None else ClaimFailure(**raw["failure"])
        return cls(**raw)


def _claim(raw: dict[str, Any] | None) -> Claim | None:
    if raw is None:
        return None
    return Claim(TopicPartition(*raw["source"]), raw["first_offset"], raw["last_offset"])
