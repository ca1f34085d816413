"""The surveys whose alerts finkray knows, one file each.

A new survey is one file here, one in `finkray.adapter`, and their entries in the two lists;
`docs/extending.md` has the recipe.
"""

from typing import Final

from finkray.surveys.lsst import LSST
from finkray.surveys.ztf import ZTF

SURVEYS: Final = {survey.name: survey for survey in (ZTF, LSST)}
"""By name, as the settings call them."""
