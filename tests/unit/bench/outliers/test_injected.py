"""What is injected into a night is a transient with the visits of that night."""

from pathlib import Path

import numpy as np
import pytest

from bench.outliers import injected
from tests.support.outlier_alerts import real_ztf_alerts


@pytest.mark.parametrize("kind", injected.TEMPLATES)
def test_a_template_has_its_peak_at_zero_days_and_nothing_before_its_beginning(kind: str) -> None:
    template = injected.TEMPLATES[kind]
    days = np.linspace(-60.0, 60.0, 121)
    mag = template.mag(days, np.ones(len(days), bool), 18.0)
    assert mag.min() == mag[days == 0] == 18.0
    assert np.isinf(mag[days < template.days[0]]).all()


def test_injected_alerts_have_visits_of_the_night_and_a_host(test_data: Path) -> None:
    night = real_ztf_alerts(test_data, "20180626_skyportal_205")
    out = injected.injected_alerts(night, [night], np.random.default_rng(1), 20)
    assert out.schema == night.schema
    exposures = {row["candidate"]["jd"] for row in night.to_pylist()}
    rows = out.to_pylist()
    assert len(rows) == 20
    for row in rows:
        now = row["candidate"]
        assert now["jd"] in exposures
        assert now["magpsf"] < now["diffmaglim"]
        assert now["sgscore1"] < 0.5
        assert now["distpsnr1"] < 3
        for visit in row["prv_candidates"]:
            assert now["jd"] - 30 <= visit["jd"] < now["jd"]
            assert visit["magpsf"] is None or visit["magpsf"] < visit["diffmaglim"]
    assert any(visit["magpsf"] for row in rows for visit in row["prv_candidates"])
