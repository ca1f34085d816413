"""Names of subscribers."""

import pytest

from finkray.errors import KafkaUnavailable, SettingsError
from finkray.streamout.subscribers import Subscribers, refuse_shared_groups
from tests.support.prepared_consumer import NOWHERE


@pytest.mark.parametrize("name", ["ann", "annabel"])
def test_a_name_whose_groups_another_subscriber_could_use_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="the subscriber 'anna' one begins with the other"):
        refuse_shared_groups(name, ["bob", "anna"])


def test_a_subscriber_may_be_added_again_beside_others() -> None:
    refuse_shared_groups("anna", ["anna", "bob"])


def test_a_kafka_that_is_away_is_an_error_of_finkray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finkray.streamout.subscribers._TIMEOUT", {"request_timeout": 0.1})
    with pytest.raises(KafkaUnavailable):
        Subscribers(NOWHERE, "finkray").all()
