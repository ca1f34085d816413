"""Describe which numbers of a snapshot Ray exports as metrics (`ray_finkray_…`)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

from finkray.status.archive import Snapshot
from finkray.status.service import ServiceSnapshot
from finkray.status.streamout import FilterStatus, StreamoutSnapshot

SnapshotT = TypeVar("SnapshotT")


class Sample(NamedTuple):
    """One value of a gauge, with the values of its tags."""

    value: float
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GaugeSpec(Generic[SnapshotT]):
    """One gauge of Ray's metrics.

    Attributes
    ----------
    name
        of the metric; Ray puts `ray_` before it
    description
        of the metric, with its unit
    samples
        reads the values from a snapshot. Picklable: the board is a Ray actor
    tag_keys
        the tags that each sample has
    """

    name: str
    description: str
    samples: Callable[[SnapshotT], Iterator[Sample]]
    tag_keys: tuple[str, ...] = ()


def _without_tags(read: Callable[[Snapshot], float], snapshot: Snapshot) -> Iterator[Sample]:
    yield Sample(float(read(snapshot)), {})


def _archive_gauge(name: str, attribute: str, description: str) -> GaugeSpec[Snapshot]:
    read = attrgetter(attribute)
    return GaugeSpec(f"finkray_{name}", description, partial(_without_tags, read))


def _alarm_count(snapshot: Snapshot) -> Iterator[Sample]:
    yield Sample(float(len(snapshot.alarms)), {})


def _latencies(snapshot: Snapshot) -> Iterator[Sample]:
    for stage in snapshot.latency:
        yield Sample(stage.p50_s, {"stage": stage.stage, "quantile": "0.5"})
        yield Sample(stage.p95_s, {"stage": stage.stage, "quantile": "0.95"})
        yield Sample(stage.p99_s, {"stage": stage.stage, "quantile": "0.99"})


ARCHIVE_GAUGES: tuple[GaugeSpec[Snapshot], ...] = (
    _archive_gauge("incoming_per_s", "incoming_per_s", "alerts/s read from Kafka"),
    _archive_gauge("archived_per_s", "archived_per_s", "alerts/s made durable"),
    _archive_gauge("lag", "lag", "offsets that the live lanes are behind Kafka"),
    _archive_gauge("backlog", "backlog", "offsets that the backfills have not archived yet"),
    _archive_gauge("held_bytes", "held_bytes", "bytes held by the ingest actors"),
    _archive_gauge("received", "balance.received", "offsets accounted for, of all time"),
    _archive_gauge("archived", "balance.archived", "alerts in the archive"),
    _archive_gauge("dead_lettered", "balance.dead_lettered", "dead letters in the archive"),
    _archive_gauge("difference", "balance.difference", "offsets that are not accounted for"),
    GaugeSpec("finkray_alarms", "alarms that are raised", _alarm_count),
    GaugeSpec(
        "finkray_latency_s",
        "seconds from the Kafka timestamp to a stage",
        _latencies,
        ("stage", "quantile"),
    ),
)


def _with_service(
    read: Callable[[ServiceSnapshot], float], snapshot: ServiceSnapshot
) -> Iterator[Sample]:
    yield Sample(float(read(snapshot)), {"service": snapshot.name})


def _service_gauge(
    name: str, description: str, read: Callable[[ServiceSnapshot], float] | None = None
) -> GaugeSpec[ServiceSnapshot]:
    samples = partial(_with_service, read or attrgetter(name))
    return GaugeSpec(f"finkray_service_{name}", description, samples, ("service",))


def _breaker_is_open(snapshot: ServiceSnapshot) -> float:
    return float(snapshot.breaker != "closed")


def _errors(snapshot: ServiceSnapshot) -> float:
    return float(snapshot.by_status.get("error", 0))


SERVICE_GAUGES: tuple[GaugeSpec[ServiceSnapshot], ...] = (
    _service_gauge("actors", "actors that are warm"),
    _service_gauge("waiting", "alerts that are durable and have no result yet"),
    _service_gauge("behind_s", "age of the oldest claim without results, in seconds"),
    _service_gauge("alerts_per_s", "alerts/s processed"),
    _service_gauge("alerts_per_s_a_core", "alerts processed for each second of CPU"),
    _service_gauge("latency_p95_s", "seconds from the Kafka timestamp until the result is durable"),
    _service_gauge("batch_p99_s", "seconds that a batch takes"),
    _service_gauge("memory_bytes", "largest memory of one child process lately"),
    _service_gauge("results", "rows in the results store"),
    _service_gauge("breaker_open", "1 while the circuit breaker is not closed", _breaker_is_open),
    _service_gauge("errors", "alerts with the status error", _errors),
)


def _with_filter(
    read: Callable[[FilterStatus], float], snapshot: StreamoutSnapshot
) -> Iterator[Sample]:
    for each in snapshot.filters:
        yield Sample(float(read(each)), {"filter": each.name})


def _filter_gauge(
    name: str, description: str, read: Callable[[FilterStatus], float] | None = None
) -> GaugeSpec[StreamoutSnapshot]:
    samples = partial(_with_filter, read or attrgetter(name))
    return GaugeSpec(f"finkray_filter_{name}", description, samples, ("filter",))


def _rests(status: FilterStatus) -> float:
    return float(status.fault != "")


def _group_lags(snapshot: StreamoutSnapshot) -> Iterator[Sample]:
    for each in snapshot.groups:
        yield Sample(float(each.lag), {"group": each.group, "topic": each.topic})


STREAMOUT_GAUGES: tuple[GaugeSpec[StreamoutSnapshot], ...] = (
    _filter_gauge("alerts", "alerts judged"),
    _filter_gauge("passed", "alerts that passed"),
    _filter_gauge("not_judged", "alerts that could not be judged"),
    _filter_gauge("sent", "alerts sent"),
    _filter_gauge("refused", "messages that were not sent"),
    _filter_gauge("amendments", "amendments sent"),
    _filter_gauge("sent_per_s", "alerts/s sent"),
    _filter_gauge("latency_p95_s", "seconds from durable to committed in Kafka"),
    _filter_gauge("behind_s", "age of the oldest durable file that is not judged, in seconds"),
    _filter_gauge("rests", "1 while the filter rests after failures", _rests),
    GaugeSpec(
        "finkray_filter_group_lag",
        "offsets that a consumer group is behind in the topic of a filter",
        _group_lags,
        ("group", "topic"),
    ),
)
