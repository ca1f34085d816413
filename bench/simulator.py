"""`python -m bench.simulator`: how many alerts one core makes in a second, with filled pools.

The CPU time of the process is measured, so that other work on the machine matters little.
Nothing is sent: Kafka has its own figures.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator

from sim.lsst.alerts import LsstMaker
from sim.maker import MadeAlert
from sim.ztf.alerts import ZtfMaker

WARM, COUNTED = {"ztf": 20_000, "lsst": 500}, {"ztf": 40_000, "lsst": 1_000}


def main() -> int:
    """Print one line a survey."""
    options = _parser().parse_args()
    makers: dict[str, ZtfMaker | LsstMaker] = {
        "ztf": ZtfMaker(1, alerts_per_visit=options.alerts_per_visit),
        "lsst": LsstMaker(1, alerts_per_visit=options.alerts_per_visit),
    }
    for survey, maker in makers.items():
        alerts = maker.alerts()
        _take(alerts, WARM[survey])
        began_s = time.process_time()
        size_bytes = _take(alerts, COUNTED[survey])
        rate = COUNTED[survey] / (time.process_time() - began_s)
        mean_kb = size_bytes / COUNTED[survey] / 1_000
        sys.stdout.write(f"{survey}: {rate:.0f} alerts/s a core, {mean_kb:.0f} kB each\n")
    return 0


def _take(alerts: Iterator[MadeAlert], count: int) -> int:
    return sum(len(alert.packet) for alert in itertools.islice(alerts, count))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.simulator", description=__doc__)
    parser.add_argument("--alerts-per-visit", type=int, default=10_000, metavar="N")
    return parser


if __name__ == "__main__":
    sys.exit(main())
