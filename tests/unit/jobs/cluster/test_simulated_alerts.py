"""Simulated alerts come into no archive of a survey, and the other way round."""

from pathlib import Path

import pytest

from finkray.errors import SettingsError
from finkray.settings.model import load
from finkray.storage.local import LocalStorage
from jobs.cluster.simulated_alerts import refuse_mixing, refuse_other_kind
from sim.broker.config import is_simulated, new_cluster_id
from tests.support.commands import Finkray
from tests.support.small_archives import archive_sample_alerts

SIMULATED, OF_A_SURVEY = "finkray-sim-AAAAAAAAAA", "Y2x1c3Rlci1vZi16dGYtMQ"


def test_a_kafka_of_the_simulator_is_known_by_its_cluster_id() -> None:
    ids = {new_cluster_id() for _ in range(20)}
    assert len(ids) == 20
    assert all(len(each) == 22 and is_simulated(each) for each in ids)
    assert not is_simulated(OF_A_SURVEY)


@pytest.mark.parametrize(
    ("known", "simulated"),
    [
        ((), True),
        ((), False),
        ((SIMULATED,), True),
        ((OF_A_SURVEY,), False),
        ((SIMULATED, OF_A_SURVEY), True),  # it is too late for these two
        ((SIMULATED, OF_A_SURVEY), False),
    ],
)
def test_alerts_of_the_same_kind_may_come(known: tuple[str, ...], *, simulated: bool) -> None:
    refuse_other_kind("file:///archive", known, simulated=simulated)


def test_alerts_of_a_survey_do_not_come_to_simulated_ones() -> None:
    with pytest.raises(SettingsError, match=r"or start the archive with --simulator"):
        refuse_other_kind("file:///archive", {SIMULATED}, simulated=False)


def test_simulated_alerts_do_not_come_into_the_archive_of_a_survey(
    finkray: Finkray, tmp_path: Path
) -> None:
    archive_sample_alerts(LocalStorage(tmp_path / "archive"))
    answer = finkray("start", "archive", "--simulator")
    assert (answer.returncode, answer.stdout) == (2, "")  # no Ray was started
    assert "has alerts of the Kafka cluster, and simulated ones" in answer.stderr
    assert "FINKRAY__ARCHIVE__URI=simulated" in answer.stderr


def test_an_archive_waits_for_a_kafka_that_does_not_answer(tmp_path: Path) -> None:
    archive_sample_alerts(LocalStorage(tmp_path / "archive"))
    refuse_mixing(
        load(
            None,
            {
                "FINKRAY__KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
                "FINKRAY__ARCHIVE__URI": str(tmp_path / "archive"),
            },
        ),
        simulator=False,
    )
