"""Models of an archive: trained on its alerts, named by first characters, and refused by name."""

import threading
from pathlib import Path

import pytest

from finkray.errors import OutlierError
from finkray.outliers.archive_models import OutlierModels
from finkray.outliers.training import TrainingStopped
from finkray.storage.local import LocalStorage
from tests.support.outlier_alerts import made_alerts
from tests.support.small_archives import NIGHT, archive_sample_alerts

ALERTS = made_alerts().num_rows


@pytest.fixture
def models(tmp_path: Path) -> OutlierModels:
    storage = LocalStorage(tmp_path)
    archive_sample_alerts(storage)
    return OutlierModels(storage, storage.below("outliers"))


def test_models_are_trained_put_in_use_and_named_by_their_first_digits(
    models: OutlierModels,
) -> None:
    told: list[str] = []
    (first,) = models.train(tell=told.append)
    assert (first.survey, first.alerts, first.rows, first.in_use) == ("ztf", ALERTS, ALERTS, True)
    assert told[-1].endswith(f"alerts: {ALERTS} of ztf, 0 of lsst")
    (again,) = models.train(NIGHT, survey="ztf")
    assert again.version == first.version, "the same alerts and seed"
    (second,) = models.train("2026-11-24", "2026-11-25", survey="ztf", seed=1, use=False)
    assert {each.version: each.in_use for each in models.models()} == {
        first.version: True,
        second.version: False,
    }
    facts = models.show(second.version[:8])
    assert (facts["version"], facts["in_use"], facts["seed"]) == (second.version, False, 1)
    assert facts["facts"]["from"] == "2026-11-24 00:00:00+00:00"
    assert "from" not in models.show(first.version)["facts"]
    ours = models.use(second.version, user="group-a")
    assert (ours.version, ours.in_use) == (second.version, True)
    for user, version in (("group-a", second.version), (None, first.version)):
        in_use = [each.version for each in models.models("ztf", user=user) if each.in_use]
        assert in_use == [version]
    models.use(second.version)
    assert models.revert() == first.version
    assert models.load(first.version).digest == first.version
    assert models.compare(first.version, second.version).rows == ALERTS


def test_a_model_or_survey_that_is_not_there_and_no_alerts_are_refused(
    models: OutlierModels,
) -> None:
    with pytest.raises(OutlierError, match="no model 3f2a; there are: none: finkray outliers tr"):
        models.use("3f2a")
    for unknown in (models.models, models.revert, models.refit):
        with pytest.raises(OutlierError, match="no features of the survey 'ptf': expected one of"):
            unknown("ptf")
    with pytest.raises(OutlierError, match="no model of ztf is in use"):
        models.refit(user="group-a")
    with pytest.raises(OutlierError, match="at least 50 alerts of ztf"):
        models.train("2030-01-01", survey="ztf")
    with pytest.raises(ValueError, match="2026-11-24 is not after 2026-11-25"):
        models.train("2026-11-25", "2026-11-24")
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(TrainingStopped):
        models.train(stopping=stopping)
    assert models.models() == [], "nothing was kept"
    versions = [models.train(survey="ztf", seed=seed)[0].version for seed in (0, 1)]
    with pytest.raises(OutlierError, match=f"more than one model begins .*{versions[0]}"):
        models.show("")
