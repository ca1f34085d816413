"""Centre the scores within groups of alerts of which equally much is known. Pure.

A missing value counts as ordinary, so an alert without a history has fewer features in which it
can be odd, and its score is lower, whatever it is. How many alerts have a history follows from the
cadence of the survey, and how many are fainter than the reference image from the age of that image:
both differ from night to night. So the median score of each group is moved to 0. The strangest 1 %
stay as they are: what makes them strange does not depend on what else is unknown.
"""

from typing import Final

import numpy as np

from finkray.outliers.arrays import Floats

_AS_STRANGE: Final = 1.0
"""Scores from this one on are not moved: the strangest 1 % of ordinary alerts have them."""

_WEAK_ROWS: Final = 20.0
"""Weight of the median of all alerts, in alerts, beside a group's own: groups may be small."""

_MOST: Final = 0.9
"""Largest median that is subtracted; a larger one would reverse the order of scores."""


class Centring:
    """The medians of groups of ordinary alerts.

    Parameters
    ----------
    scores
        of ordinary alerts; 0 is the median of all
    groups
        number of the group of each, from 0 on
    """

    def __init__(self, scores: Floats, groups: np.ndarray) -> None:
        self._medians = np.zeros(int(groups.max()) + 1)
        for group in np.unique(groups):
            own = scores[groups == group]
            median = float(np.median(own)) * len(own) / (len(own) + _WEAK_ROWS)
            self._medians[group] = min(median, _MOST)

    def __call__(self, scores: Floats, groups: np.ndarray) -> Floats:
        """Return scores, those of each group moved so that its median is 0; in the same order.

        Alerts of a group without ordinary ones keep their scores.
        """
        known = groups < len(self._medians)
        median = np.where(known, self._medians[np.where(known, groups, 0)], 0.0)
        above = (scores - median) * _AS_STRANGE / (_AS_STRANGE - median)
        moved = np.where(scores >= median, above, scores - median)
        return np.where(scores >= _AS_STRANGE, scores, moved)
