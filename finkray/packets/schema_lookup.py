"""Look up the schema that a Confluent frame names by its id.

An id belongs to a Kafka cluster: two clusters may use one id for two schemas. It never changes its
meaning, so a schema that was found is not looked up again.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from finkray.avro.container import PacketRefused
from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SchemaError, SchemaUnavailable

MAX_UNKNOWN: Final = 64
"""How many unknown ids are remembered, and so looked up, within `retry_s`: random bytes that begin
with a zero must not become a flood of requests."""

log = logging.getLogger(__name__)


class SchemaSource(Protocol):
    """A folder or registry of schemas; `str` of it names it to people."""

    def find(self, schema_id: int) -> str | None:
        """Return the schema, JSON, or None if this source does not know it.

        Raises
        ------
        SchemaError
            if the source has it and it is not valid
        SchemaUnavailable
            if the source does not answer now
        """


class _Miss(NamedTuple):
    until_s: float
    refusal: PacketRefused


class SchemaLookup:
    """Looks up schemas and caches them, and for a while also unknown ids.

    Parameters
    ----------
    sources
        folders and registries, queried in this order
    known
        schemas that were found before, by cluster and schema id
    retry_s
        pause before an unknown id is looked up again, or a source that did not answer is queried
    clock
        monotonic seconds
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
        """Return the schema, JSON.

        Raises
        ------
        PacketRefused
            `unknown_schema` if no source knows it, `schema_unavailable` if a source that may know
            it does not answer, `unsupported_schema` if it is not valid
        """
        key = (cluster_id, schema_id)
        if key in self._known:
            return self._known[key]
        now_s = self._clock()
        self._missed = {of: miss for of, miss in self._missed.items() if miss.until_s > now_s}
        if key in self._missed:
            # A new error: one that is raised again keeps the frames of all that it passed before,
            # and with them the packets that were decoded there.
            missed = self._missed[key].refusal
            raise PacketRefused(missed.reason, missed.detail)
        if len(self._missed) >= MAX_UNKNOWN:
            detail = f"Schema {schema_id} is not looked up: too many others are unknown."
            raise PacketRefused(DeadLetterReason.UNKNOWN_SCHEMA, detail)
        try:
            self._known[key] = self._find(schema_id, now_s)
        except PacketRefused as refusal:
            kept = PacketRefused(refusal.reason, refusal.detail)
            self._missed[key] = _Miss(now_s + self._retry_s, kept)
            raise
        return self._known[key]

    def _find(self, schema_id: int, now_s: float) -> str:
        unavailable: list[str] = []
        for index, source in enumerate(self._sources):
            down = self._down.get(index)
            if down is not None and now_s < down.until_s:
                unavailable.append(down.refusal.detail)
                continue
            try:
                text = source.find(schema_id)
            except SchemaError as error:
                detail = f"Schema {schema_id} cannot be archived: {error}."
                raise PacketRefused(DeadLetterReason.UNSUPPORTED_SCHEMA, detail) from None
            except SchemaUnavailable as error:
                refusal = PacketRefused(DeadLetterReason.SCHEMA_UNAVAILABLE, str(error))
                self._down[index] = _Miss(now_s + self._retry_s, refusal)
                log.warning("schema lookup: %s; will retry in %.0f s", error, self._retry_s)
                unavailable.append(str(error))
                continue
            if text is not None:
                log.info("schema %d was found in %s", schema_id, source)
                return text
        if unavailable:
            detail = f"Schema {schema_id} cannot be looked up: {'; '.join(unavailable)}."
            raise PacketRefused(DeadLetterReason.SCHEMA_UNAVAILABLE, detail)
        raise PacketRefused(
            DeadLetterReason.UNKNOWN_SCHEMA,
            f"Schema {schema_id} is not known{self._sources_text()}.",
        )

    def _sources_text(self) -> str:
        if not self._sources:
            return ": set packets.schema_folder or packets.registry_url"
        return f" to {' nor to '.join(map(str, self._sources))}"
