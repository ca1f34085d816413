"""The benchmark's alerts: rows and truth fit together, and curves have each exposure once."""

import numpy as np
import pyarrow as pa

from bench.outliers.alerts import each_once, simulated_sky
from bench.outliers.curves import curves_of
from bench.outliers.detection import train_and_test
from finkray.outliers.curve_features import CURVE_FEATURES
from sim.sky.kinds import KINDS, STRANGE_KINDS, Kind


def test_of_an_exposure_the_detection_is_kept_before_the_forced_point() -> None:
    points = pa.table(
        {
            "object_id": ["b", "a", "a", "a"],
            "jd": [2.0, 2.0, 1.0, 1.0],
            "flux": [4.0, 3.0, 1.0, 2.0],
            "forced": [True, True, True, False],
        }
    )
    kept = each_once(points)
    assert kept["flux"].to_pylist() == [2.0, 3.0, 4.0]
    assert kept.column_names == ["object_id", "jd", "flux"]


def test_a_simulated_sky_has_its_truth_row_by_row() -> None:
    sky = simulated_sky(1, nights=4, alerts_per_visit=12, strange_percent=30)
    rows = sky.features.num_rows
    assert len(sky.kind) == len(sky.field) == len(sky.numbers) == rows
    assert {KINDS[number] for number in sky.kind} & set(STRANGE_KINDS)
    train, test = train_and_test(sky)
    assert train.features.num_rows + test.features.num_rows == rows
    mine, theirs = (set(half.features["object_id"].to_pylist()) for half in (train, test))
    assert not mine & theirs
    assert set(test.points["object_id"].to_pylist()) <= theirs
    curves = curves_of(test)
    assert curves.object_ids == sorted(theirs)
    for values in curves.features.values():
        assert values.shape == (len(theirs), len(CURVE_FEATURES))
    assert np.isfinite(curves.together).any()
    assert {"star", "galaxy", "asteroid", "nothing"} >= set(sky.context) > {"star"}
    events = sky.event_jd[np.isin(sky.kind, [KINDS.index(Kind.TWO_PEAKS)])]
    # Four nights are too few for a second peak; other kinds are strange all the time.
    assert len(events)
    assert np.isfinite(events).all()
    is_two = curves.kind == KINDS.index(Kind.TWO_PEAKS)
    assert not curves.has_event[is_two].any()
    assert curves.has_event[curves.kind == KINDS.index(Kind.RR_LYRAE)].all()
