"""How many examples a property test tries."""

import os
from typing import Final

TIMES: Final = int(os.environ.get("FINKRAY_EXAMPLES", "1"))
"""`FINKRAY_EXAMPLES=10` tries ten times as many: the suite of each commit meets other examples each
time, `make test-nightly` many at once."""


def examples(count: int) -> int:
    """Return how many examples to try where `make test` tries `count`."""
    return count * TIMES
