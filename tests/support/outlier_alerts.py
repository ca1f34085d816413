"""Real and simulated alerts for tests of outliers."""

import io
from functools import cache
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import finkray.testing
from tests.support.packets import real_lsst_alerts, real_ztf_packets

TDE = "ztf/ztf_20200802-0831_fink-filters_ZTF20abfcszi_21.parquet"
_READ = ("objectId", "candid", "candidate", "prv_candidates")


@cache
def real_ztf_alerts(test_data: Path, names: str) -> pa.Table:
    """Return the alerts of archives `ztf/ztf_<names>.tar.xz` without images."""
    alerts = [
        {name: alert[name] for name in _READ}
        for packet in real_ztf_packets(test_data, names)
        for alert in fastavro.reader(io.BytesIO(packet))
    ]
    return pa.Table.from_pylist(alerts)


def tidal_disruption(test_data: Path) -> pa.Table:
    """Return the 21 real alerts of one tidal disruption event."""
    return pq.read_table(test_data / TDE, columns=list(_READ))


@cache
def real_lsst_table(test_data: Path) -> pa.Table:
    """Return 107 real alerts of LSST without images."""
    alerts = [
        {name: value for name, value in alert.items() if not name.startswith("cutout")}
        for alert in real_lsst_alerts(test_data)
    ]
    return pa.Table.from_pylist(alerts)


def made_alerts() -> pa.Table:
    """Return the 120 simulated alerts that finkray ships."""
    return finkray.testing.alerts().drop_columns(["cutoutScience"])


def shuffled(table: pa.Table, seed: int = 1) -> tuple[pa.Table, np.ndarray]:
    """Return the rows in another order, and which row each was."""
    order = np.random.default_rng(seed).permutation(table.num_rows)
    return table.take(pa.array(order)), order
