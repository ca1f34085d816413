"""The service `outliers`: scores of both surveys, its models, and what it says without one."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import finkray.testing
from actors.outliers import OUTLIERS, Outliers
from finkray.errors import OutlierError
from finkray.outliers.feature_list import FEATURE_LISTS
from finkray.outliers.model import OutlierModel
from finkray.outliers.store import ModelStore
from finkray.outliers.training import TrainingStopped, train
from finkray.services.columns import pick
from finkray.storage.hours import Span
from finkray.storage.local import LocalStorage
from tests.support.outlier_alerts import made_alerts, real_lsst_table, real_ztf_alerts

NIGHT = "20180626_skyportal_205"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(LocalStorage(tmp_path), "ztf")


@pytest.fixture
def service(tmp_path: Path, store: ModelStore) -> Iterator[Outliers]:
    model = OutlierModel.fit(made_alerts(), survey="ztf")
    store.use(store.add(model, {}))
    service = Outliers()
    service.settings = {"folder": str(tmp_path)}
    service.setup()
    yield service
    service.close()


def _columns(alerts: pa.Table) -> pa.Table:
    return pick(alerts, Outliers.columns)


def test_each_alert_has_a_score_reasons_and_a_context(service: Outliers, test_data: Path) -> None:
    alerts = _columns(real_ztf_alerts(test_data, NIGHT))
    out = service.process(alerts)
    assert out.schema == OUTLIERS
    assert out.num_rows == alerts.num_rows
    assert out["score"].null_count == out["note"].to_pylist().count("x") == 0
    assert set(out["stage"].to_pylist()) == {"packet"}
    contexts = out["context"].to_pylist()
    assert {"star", "galaxy", "nothing", "asteroid"} <= set(contexts)
    solar = [
        near is not None and 0 <= near <= 5 for near in alerts["candidate.ssdistnr"].to_pylist()
    ]
    assert [context == "asteroid" for context in contexts] == solar
    parts = [service.process(alerts.slice(at, 30)) for at in range(0, alerts.num_rows, 30)]
    assert pa.concat_tables(parts).equals(out)


def test_surveys_are_told_apart_and_one_without_a_model_says_so(
    service: Outliers, test_data: Path
) -> None:
    ztf, lsst = _columns(made_alerts()), _columns(real_lsst_table(test_data).slice(0, 20))
    mixed = pa.concat_tables([lsst, ztf], promote_options="permissive")
    out = service.process(mixed)
    assert out["survey"].to_pylist() == ["lsst"] * 20 + ["ztf"] * 120
    assert out["score"].to_pylist()[:20] == [None] * 20
    assert set(out["note"].to_pylist()[:20]) == {
        "no model of lsst is in use: finkray outliers train"
    }
    assert out.slice(20).equals(service.process(ztf))
    nobody = pa.table({name: pa.nulls(2) for name in Outliers.columns})
    assert (
        service.process(nobody)["note"].to_pylist()
        == ["the alert is of no survey with features"] * 2
    )
    assert service.process(mixed.slice(0, 0)).num_rows == 0


def test_another_model_counts_from_the_next_batch_on(
    service: Outliers, store: ModelStore, tmp_path: Path
) -> None:
    alerts = _columns(made_alerts())
    before = service.process(alerts)
    other = store.add(OutlierModel.fit(made_alerts(), survey="ztf", seed=7), {})
    store.use(other)
    after = service.process(alerts)
    assert set(after["model"].to_pylist()) == {other}
    (tmp_path / f"models/ztf/{other}/manifest.json").write_text("{")
    store.revert()
    assert service.process(alerts).equals(before)
    (tmp_path / "models/ztf/uses/00000009.json").write_text("{")
    assert service.process(alerts).equals(before), "what could be read last stays in use"


class OutliersOfGroup(Outliers):
    """The service of a group, as a person writes it."""

    name = "outliers-group-a"
    user = "group-a"


def test_a_group_is_scored_by_its_own_model(
    service: Outliers, store: ModelStore, tmp_path: Path
) -> None:
    alerts = _columns(made_alerts())
    of_all = service.process(alerts)
    ours = OutliersOfGroup()
    ours.settings = {}
    ours.shared = {"outliers": {"folder": str(tmp_path)}}
    ours.setup()
    assert ours.process(alerts).equals(of_all), "it has no model of its own yet"
    in_use = store.in_use()
    assert in_use is not None
    taught = store.load(in_use).learn(made_alerts().slice(0, 3), [True, False, True])
    ModelStore(LocalStorage(tmp_path), "ztf", "group-a").use(store.add(taught, {}))
    own = ours.process(alerts)
    assert set(own["model"].to_pylist()) == {taught.digest}
    assert own["plain_score"].equals(of_all["plain_score"])
    assert not own["score"].equals(of_all["score"])
    assert service.process(alerts).equals(of_all)


@pytest.mark.parametrize(
    ("settings", "shared", "message"),
    [
        ({}, {}, r"`folder` in \[services\.outliers\]"),
        ({"folder": "/nowhere"}, {}, "no model is in use in .*: finkray outliers train"),
        ({}, {"outliers": {"folder": "/nowhere"}}, "no model is in use"),
    ],
)
def test_without_a_model_the_service_does_not_start(
    settings: dict[str, Any], shared: dict[str, Any], message: str
) -> None:
    service = Outliers()
    service.settings, service.shared = settings, shared
    with pytest.raises(OutlierError, match=message):
        service.setup()


def test_the_results_hold_to_the_contract_of_a_service(
    service: Outliers, store: ModelStore, tmp_path: Path
) -> None:
    results = finkray.testing.run(Outliers(), settings={"folder": str(tmp_path)})
    assert set(results["status"].to_pylist()) == {"ok"}
    assert set(results["model"].to_pylist()) == {store.in_use()}
    assert service.shares == ("outliers",)
    assert {"candidate.magpsf", "diaSource.psfFlux"} <= set(FEATURE_LISTS["ztf"].columns) | set(
        FEATURE_LISTS["lsst"].columns
    )


def test_training_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    storage = LocalStorage(tmp_path / "empty")
    with pytest.raises(TrainingStopped):
        list(train(storage, Span(), ("ztf",), tell=lambda _: None, stopping=stopping))
