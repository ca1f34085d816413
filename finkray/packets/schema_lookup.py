"""Which schema a Confluent frame means by its id.

An id belongs to the Kafka cluster it came from: two clusters may use one number for two schemas.
It never changes its meaning, so what was found once is not asked for again.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from finkray.avro.container import PacketRefused
from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SchemaError, SchemaUnavailable

MAX_UNKNOWN: Final = 64
"""How many unknown ids are remembered, and so looked up, in a time of `retry_s`: random bytes
that begin with a zero must not become a flood of questions."""

log = logging.getLogger(__name__)


class SchemaSource(Protocol):
    """Somebody who may know schemas; `str` of it names it to people."""

    def find(self, schema_id: int) -> str | None:
        """The schema, JSON; None if it is not known here.

        Raises
        ------
        SchemaError
            if it is known and not valid
        SchemaUnavailable
            if there is no answer now
        """


class _Miss(NamedTuple):
    until_s: float
    why: PacketRefused


class SchemaLookup:
    """Looks schemas up and remembers them, and for a while also what nobody knew.

    Parameters
    ----------
    sources
        whom to ask, in this order
    known
        schemas that were found before, by cluster and id
    retry_s
        how long not to ask again for an id that nobody knew, nor a source that did not answer
    clock
        seconds that never go backwards
    """

    def __init__(
        self,
        sources: Sequence[SchemaSource] = (),
        known: Mapping[tuple[str, int], str] | None = None,
        retry_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._known = dict(known or {})
        self._retry_s = retry_s
        self._clock = clock
        self._missed: dict[tuple[str, int], _Miss] = {}
        self._down: dict[int, _Miss] = {}

    def text(self, cluster_id: str, schema_id: int) -> str:
        """The schema, JSON.

        Raises
        ------
        Refused
            `unknown_schema` if nobody knows it, `schema_unavailable` if somebody who may know
            it does not answer, `unsupported_schema` if what they know is not valid
        """
        key = (cluster_id, schema_id)
        if key in self._known:
            return self._known[key]
        now_s = self._clock()
        self._missed = {at: miss for at, miss in self._missed.items() if miss.until_s > now_s}
        if key in self._missed:
            raise self._missed[key].why
        if len(self._missed) >= MAX_UNKNOWN:
            detail = f"Schema {schema_id} is not looked up: too many others are unknown."
            raise PacketRefused(DeadLetterReason.UNKNOWN_SCHEMA, detail)
        try:
            self._known[key] = self._find(schema_id, now_s)
        except PacketRefused as why:
            self._missed[key] = _Miss(now_s + self._retry_s, why)
            raise
        return self._known[key]

    def _find(self, schema_id: int, now_s: float) -> str:
        silent: list[str] = []
        for place, source in enumerate(self._sources):
            down = self._down.get(place)
            if down is not None and now_s < down.until_s:
                silent.append(down.why.detail)
                continue
            try:
                text = source.find(schema_id)
            except SchemaError as error:
                detail = f"Schema {schema_id} cannot be archived: {error}."
                raise PacketRefused(DeadLetterReason.UNSUPPORTED_SCHEMA, detail) from None
            except SchemaUnavailable as error:
                why = PacketRefused(DeadLetterReason.SCHEMA_UNAVAILABLE, str(error))
                self._down[place] = _Miss(now_s + self._retry_s, why)
                log.warning("%s; asked again in %.0f s", error, self._retry_s)
                silent.append(str(error))
                continue
            if text is not None:
                log.info("schema %d is known from %s", schema_id, source)
                return text
        if silent:
            detail = f"Schema {schema_id} cannot be looked up: {'; '.join(silent)}."
            raise PacketRefused(DeadLetterReason.SCHEMA_UNAVAILABLE, detail)
        raise PacketRefused(
            DeadLetterReason.UNKNOWN_SCHEMA, f"Schema {schema_id} is not known{self._whom()}."
        )

    def _whom(self) -> str:
        if not self._sources:
            return ": set packets.schema_folder or packets.registry_url"
        return f" to {' nor to '.join(map(str, self._sources))}"
