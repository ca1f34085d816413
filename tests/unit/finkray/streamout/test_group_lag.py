"""The lag of consumer groups, of a Kafka that does not answer."""

import pytest

from finkray.errors import KafkaUnavailable
from finkray.streamout.group_lag import group_lags
from tests.support.prepared_consumer import NOWHERE


def test_groups_of_a_kafka_that_is_away_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is an empty list with an error, and an exception now and then."""
    monkeypatch.setattr("finkray.streamout.group_lag._TIMEOUT_S", 0.1)
    for _ in range(3):
        with pytest.raises(KafkaUnavailable, match="consumer groups cannot be listed"):
            group_lags(NOWHERE, ["stars"])
