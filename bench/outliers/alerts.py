"""Alerts for the benchmark: simulated ones with their truth, and those of public nights."""

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.claim import TopicPartition
from finkray.outliers.arrays import columns_of, flat, floats, list_counts
from finkray.outliers.context import contexts
from finkray.outliers.feature_list import features_of
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from sim.maker import MadeAlert
from sim.sky.kinds import KINDS
from sim.ztf.alerts import ZtfMaker

READ: Final = ("objectId", "candid", "candidate", "prv_candidates")
"""The columns that are kept: images are not looked at."""

_FORCED: Final = ("jd", "fid", "forcediffimflux", "forcediffimfluxunc", "magzpsci", "procstatus")

TDE: Final = Path("ztf/ztf_20200802-0831_fink-filters_ZTF20abfcszi_21.parquet")
NIGHTS: Final = {
    "2018-06-26": "ztf/ztf_20180626_skyportal_205.tar.xz",
    "2018-11-29": "ztf/ztf_20181129_fink-alert-simulator_498.tar.xz",
    "2020-01-01": "ztf/ztf_20200101_fink-broker_50.tar.xz",
    "2021-07-20": "ztf/ztf_20210720_ampel_100_nocutouts.tar.xz",
    "2020-02": "ztf/ztf_202002_kowalski_12.tar.xz",
    "2024-2025": "ztf/ztf_2024-2025_boom_12.tar.xz",
}
"""Public alerts of ZTF. Those of 2023-10-18 are left out: their histories have no usable times."""

WHOLE_NIGHTS: Final = tuple(NIGHTS)[:4]
"""The files that are part of one night; the others are single alerts of many."""

_FIELDS: Final = (430, 431, 432, 433, 434, 435)
"""Neighbouring fields that are up all night when the simulation begins."""

_AT_A_TIME: Final = 2_000
_SAME_EXPOSURE_D: Final = 1e-5


@dataclass(frozen=True)
class SimulatedSky:
    """Alerts of one seed, and their truth; a row of each table and array to an alert.

    Attributes
    ----------
    features
        Table of features of stage A.
    numbers
        All numeric fields of the candidates, shape (alerts, fields); NaN where one is missing.
    kind
        Index in `KINDS` of the kind of its object.
    field
        The field that it is in.
    event_jd
        When the event of its object was, as `sim.maker.MadeAlert` has it; NaN without one.
    context
        What is at its position, as `finkray.outliers.context` says.
    points
        Points of the objects' curves: columns `object_id`, `jd`, `band`, `flux`, `error`, sorted by
        object and time; the alerts' detections, and forced photometry where there is none. Flux is
        in units of the flux of 25 mag. Its rows are not those of the alerts.
    """

    features: pa.Table
    numbers: np.ndarray
    kind: np.ndarray
    field: np.ndarray
    event_jd: np.ndarray
    context: np.ndarray
    points: pa.Table

    def take(self, rows: np.ndarray) -> "SimulatedSky":
        """Return some of the alerts."""
        picked = pa.array(np.flatnonzero(rows) if rows.dtype == bool else rows)
        features = self.features.take(picked)
        wanted = pc.is_in(self.points["object_id"], features["object_id"].unique())
        return SimulatedSky(
            features,
            self.numbers[rows],
            self.kind[rows],
            self.field[rows],
            self.event_jd[rows],
            self.context[rows],
            self.points.filter(wanted),
        )


def simulated_sky(
    seed: int, *, nights: int, alerts_per_visit: int, strange_percent: float
) -> SimulatedSky:
    """Simulate six fields of ZTF for some nights.

    Parameters
    ----------
    seed
        Seed of the sky.
    nights
        How many nights after the first one, clouds included.
    alerts_per_visit
        Approximate number of alerts of a visit.
    strange_percent
        Percentage of the alerts that are of strange kinds.
    """
    maker = ZtfMaker(
        seed, alerts_per_visit=alerts_per_visit, strange_percent=strange_percent, fields=_FIELDS
    )
    visits = maker.visits()
    first = next(visits)
    more = takewhile(lambda visit: visit.exposure.night - first.exposure.night < nights, visits)
    # One visit at a time: the packets of all would take gigabytes.
    alerts = (alert for visit in chain((first,), more) for alert in visit.alerts)
    parts = [_part(batch) for batch in _batches(alerts)]
    return SimulatedSky(
        pa.concat_tables([part.features for part in parts]).combine_chunks(),
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.field for part in parts]),
        np.concatenate([part.event_jd for part in parts]),
        np.concatenate([part.context for part in parts]),
        each_once(pa.concat_tables([part.points for part in parts])),
    )


def each_once(points: pa.Table) -> pa.Table:
    """Sort points by object and time; of an exposure keep a detection before a forced one."""
    order = points.sort_by([(name, "ascending") for name in ("object_id", "jd", "forced")])
    names = order["object_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    jd = order["jd"].to_numpy()
    again = np.zeros(len(jd), bool)
    again[1:] = (names[1:] == names[:-1]) & (np.diff(jd) < _SAME_EXPOSURE_D)
    return order.filter(pa.array(~again)).drop_columns(["forced"]).combine_chunks()


def simulated_table(seed: int, count: int) -> pa.Table:
    """Return this many simulated alerts without images, as an archive has them."""
    maker = ZtfMaker(seed, alerts_per_visit=250, fields=_FIELDS)
    packets = [alert.packet for alert in islice(maker.alerts(), count)]
    return decoded(packets)


def public_night(data: Path, name: str) -> pa.Table:
    """Return the alerts of a public file, without images."""
    return decoded(list(_packets(data / NIGHTS[name])))


def public_tde(data: Path) -> pa.Table:
    """Return the 21 alerts of a tidal disruption event."""
    return pq.read_table(data / TDE, columns=list(READ))


def decoded(packets: Sequence[bytes], columns: Sequence[str] = READ) -> pa.Table:
    """Return some columns of packets as a table, in the order of the packets."""
    messages = [RawMessage(number, number, packet) for number, packet in enumerate(packets)]
    found = Decoder().decode(messages, TopicPartition("cluster", "ztf", "id", 0))
    rows = np.concatenate([table.rows for table in found.tables])
    tables = [table.table.select(list(columns)) for table in found.tables]
    return pa.concat_tables(tables, promote_options="permissive").take(pa.array(np.argsort(rows)))


def all_numbers(alerts: pa.Table) -> np.ndarray:
    """Return all numeric fields of the candidates: shape (alerts, fields), NaN where missing."""
    candidate = alerts.schema.field("candidate").type
    names = [
        f"candidate.{field.name}"
        for field in candidate
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    read = columns_of(alerts, names)
    return np.stack([floats(read[name], sentinel=True) for name in names], axis=1)


def _part(alerts: Sequence[MadeAlert]) -> SimulatedSky:
    table = decoded([alert.packet for alert in alerts], (*READ, "fp_hists"))
    read = columns_of(
        table, [f"candidate.{name}" for name in ("magpsf", "sigmapsf", "isdiffpos", "field")]
    )
    magnitude = floats(read["candidate.magpsf"])
    sign = np.array(
        [1.0 if each == "t" else -1.0 for each in read["candidate.isdiffpos"].to_pylist()]
    )
    flux = sign * 10 ** (-0.4 * (magnitude - 25))
    points = pa.table(
        {
            "object_id": [alert.object_id for alert in alerts],
            "jd": [alert.jd for alert in alerts],
            "band": [alert.filter_id for alert in alerts],
            "flux": flux,
            "error": np.abs(flux) * floats(read["candidate.sigmapsf"]) / 1.0857,
            "forced": np.zeros(len(alerts), bool),
        }
    )
    points = pa.concat_tables([points, _forced_points(table, alerts)])
    features = features_of(table, "ztf")
    return SimulatedSky(
        # A copy: columns that share memory with the packets would keep all of these.
        features.take(pa.array(np.arange(len(alerts)))),
        all_numbers(table),
        np.array([KINDS.index(alert.kind) for alert in alerts]),
        floats(read["candidate.field"]).astype(np.int64),
        np.array([alert.event_jd for alert in alerts], np.float64),
        contexts(table),
        points,
    )


def _forced_points(table: pa.Table, alerts: Sequence[MadeAlert]) -> pa.Table:
    """Return the forced photometry in the history of alerts."""
    read = columns_of(table, [f"fp_hists.{name}" for name in _FORCED])
    counts = list_counts(read["fp_hists.jd"])
    values = {name: flat(read[f"fp_hists.{name}"], counts) for name in _FORCED}
    to_flux = 10 ** (-0.4 * (floats(values["magzpsci"]) - 25))
    points = pa.table(
        {
            "object_id": pa.array([alert.object_id for alert in alerts]).take(
                pa.array(np.repeat(np.arange(len(alerts)), counts))
            ),
            "jd": floats(values["jd"]),
            "band": floats(values["fid"]).astype(np.int64),
            "flux": to_flux * floats(values["forcediffimflux"]),
            "error": to_flux * floats(values["forcediffimfluxunc"]),
            "forced": np.ones(int(counts.sum()), bool),
        }
    )
    return points.filter(pc.equal(values["procstatus"], "0"))


def _batches(alerts: Iterable[MadeAlert]) -> Iterator[list[MadeAlert]]:
    left = iter(alerts)
    while batch := list(islice(left, _AT_A_TIME)):
        yield batch


def _packets(path: Path) -> Iterator[bytes]:
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and member.name.endswith(".avro"):
                yield content.read()
