"""What is detected in an exposure, and how it is numbered."""

import numpy as np
import pytest

from finkray.errors import SettingsError
from sim.ztf.detection import MAX_PER_CHANNEL, numbers


def test_alerts_are_numbered_within_their_channel() -> None:
    channel = np.array([0, 0, 3, 3, 3])
    assert numbers(channel).tolist() == [1, 2, 1, 2, 3]
    taken = np.array([5, 0, 0, 1])
    assert numbers(channel, taken).tolist() == [6, 7, 2, 3, 4]


def test_more_than_there_are_candids_for_are_refused() -> None:
    assert numbers(np.zeros(MAX_PER_CHANNEL, int)).max() == MAX_PER_CHANNEL
    with pytest.raises(SettingsError, match=r"alerts_per_visit: 5000 .* use fewer"):
        numbers(np.zeros(MAX_PER_CHANNEL + 1, int))
