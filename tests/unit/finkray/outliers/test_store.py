"""The models of an archive: which is in use, what was before, and what two commands at once do."""

from pathlib import Path

import pytest

from finkray.errors import OutlierError
from finkray.outliers.comparing import compared
from finkray.outliers.model import OutlierModel
from finkray.outliers.store import ModelStore
from finkray.storage.local import LocalStorage
from finkray.storage.memory import MemoryStorage
from tests.support.outlier_alerts import made_alerts


@pytest.fixture(scope="module")
def models() -> list[OutlierModel]:
    return [OutlierModel.fit(made_alerts(), survey="ztf", seed=seed) for seed in range(3)]


def test_use_and_revert_go_forth_and_back_and_keep_their_history(
    tmp_path: Path, models: list[OutlierModel]
) -> None:
    store = ModelStore(LocalStorage(tmp_path), "ztf")
    assert store.in_use() is None
    first, second, third = (store.add(model, {"nights": 2}) for model in models)
    with pytest.raises(OutlierError, match="no other model of ztf was in use before"):
        store.revert()
    for version in (first, second, second, third):
        store.use(version)
    assert [store.in_use(), store.revert(), store.revert()] == [third, second, first]
    assert store.in_use() == first
    with pytest.raises(OutlierError, match="no other model"):
        store.revert()
    assert [entry.action for entry in store.history()] == ["use"] * 3 + ["revert"] * 2
    assert {model.version: model.in_use for model in store.models()} == {
        first: True,
        second: False,
        third: False,
    }
    assert store.load(second).digest == second
    assert store.add(models[0], {}) == first, "the same model twice is one"


def test_a_group_has_the_model_of_all_until_it_has_its_own(
    tmp_path: Path, models: list[OutlierModel]
) -> None:
    storage = LocalStorage(tmp_path)
    every = ModelStore(storage, "ztf")
    ours, other = (ModelStore(storage, "ztf", name) for name in ("group a/../b", "group-c"))
    first, second, third = (every.add(model, {}) for model in models)
    every.use(first)
    assert ours.in_use() == other.in_use() == first
    assert every.users() == []
    ours.use(first)
    ours.use(second)
    every.use(third)
    assert [store.in_use() for store in (every, ours, other)] == [third, second, third]
    assert every.users() == other.users() == ["group a/../b"]
    assert [each.version for each in ours.models() if each.in_use] == [second]
    assert ours.revert() == first
    with pytest.raises(OutlierError, match="no other model of ztf was in use before"):
        ours.revert()
    assert every.in_use() == third


def test_a_model_that_is_not_there_or_damaged_is_not_put_in_use(
    tmp_path: Path, models: list[OutlierModel]
) -> None:
    store = ModelStore(LocalStorage(tmp_path), "ztf")
    version = store.add(models[0], {})
    with pytest.raises(OutlierError, match=rf"no model abc of ztf; there are: {version}"):
        store.use("abc")
    (tmp_path / f"models/ztf/{version}/reference.parquet").write_bytes(b"PAR1")
    with pytest.raises(OutlierError, match="is damaged"):
        store.use(version)
    assert store.in_use() is None
    other = store.add(models[1], {})
    (tmp_path / f"models/ztf/{version}/manifest.json").write_text("{")
    assert [model.version for model in store.models()] == [other], "the others are listed"


def test_of_two_uses_at_once_one_is_refused(models: list[OutlierModel]) -> None:
    storage = MemoryStorage("models")
    store = ModelStore(storage, "ztf")
    versions = [store.add(model, {}) for model in models[:2]]
    store.use(versions[0])
    entry = storage.read("models/ztf/uses/00000001.json")
    assert entry is not None

    class Slow(ModelStore):
        """Another command puts its entry down between this one's look and its own."""

        def load(self, version: str, threads: int = 1) -> OutlierModel:
            model = super().load(version, threads)
            original = self._folder.create

            def create(path: str, data: bytes) -> bool:
                original(path, entry)
                return original(path, data)

            self._folder.create = create  # type: ignore[method-assign]
            return model

    with pytest.raises(OutlierError, match="another command changed the model"):
        Slow(storage, "ztf").use(versions[1])
    assert store.in_use() == versions[0]


def test_two_models_are_compared_by_rows_thumbs_and_scores() -> None:
    alerts = made_alerts()
    first = OutlierModel.fit(alerts.slice(0, 100), survey="ztf", seed=1)
    same = compared(first, first)
    assert (same.rows, same.rows_first, same.rows_second) == (100, 0, 0)
    assert (same.same_seed, same.top) == (True, 20)
    assert same.correlation == pytest.approx(1)
    other = OutlierModel.fit(alerts.slice(20, 100), survey="ztf", seed=2)
    taught = [
        model.learn(alerts.slice(50, 2), [True, up])
        for model, up in ((first, True), (other, False))
    ]
    diff = compared(*taught)
    assert (diff.rows, diff.rows_first, diff.rows_second) == (80, 20, 20)
    assert (diff.thumbs, diff.thumbs_first, diff.thumbs_second) == (1, 1, 1)
    assert diff.correlation is not None
    assert 0.3 < diff.correlation < 1
    assert diff.text().startswith("ztf, different seeds\nreference alerts: 80 in both, 20 in")
