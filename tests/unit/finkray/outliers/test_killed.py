"""A real SIGKILL loses and doubles nothing of the log of thumbs and of the ranking."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from finkray.outliers.ranking import RANKING_PATH, Ranking
from finkray.outliers.thumb_log import ThumbLog
from finkray.storage.local import LocalStorage
from tests.support.parity import FIRST
from tests.support.scored_archive import put_scored, scores_of, whole_list
from tests.support.small_archives import SmallArchive

KILLS = int(os.environ.get("FINKRAY_CHAOS_KILLS", "2"))

_THUMBS = """
import sys
from pathlib import Path
from finkray.outliers.thumb_log import ThumbLog
from finkray.storage.local import LocalStorage
log = ThumbLog(LocalStorage(Path(sys.argv[1])))
for alert_id in range(10**6):
    print(log.append("up", sys.argv[2], survey="ztf", alert_id=alert_id).number, flush=True)
"""

_FOLD = """
import sys
from pathlib import Path
from finkray.outliers.ranking import Ranking
from finkray.results.store import find_store
from finkray.storage.local import LocalStorage
fold = Ranking(find_store(LocalStorage(Path(sys.argv[1])), "outliers"))
print("begins", flush=True)
while True:
    fold.catch_up(1)
    fold.keep()
    print("kept", flush=True)
"""


def killed(script: str, arguments: Sequence[str], lines: int) -> list[str]:
    """Run a script, kill it soon after it wrote some lines, and return all whole lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(lines)]
    time.sleep(0.003 * lines)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == -signal.SIGKILL
    return [line for line in [*first, *rest.splitlines(keepends=True)] if line.endswith("\n")]


@pytest.mark.parametrize("attempt", range(KILLS))
def test_a_thumb_whose_number_was_told_outlives_a_kill(tmp_path: Path, attempt: int) -> None:
    told = [
        [int(line) for line in killed(_THUMBS, [str(tmp_path), user], 3 + 7 * attempt)]
        for user in ("ann", "bob")
    ]
    entries = ThumbLog(LocalStorage(tmp_path)).entries()
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    for user, numbers in zip(("ann", "bob"), told, strict=True):
        have = [entry.number for entry in entries if entry.user == user]
        # The entry that was being written when the kill came may be there, and no second one.
        assert have[: len(numbers)] == numbers
        assert len(have) <= len(numbers) + 1
        alerts = [entry.alert_id for entry in entries if entry.user == user]
        assert alerts == list(range(len(alerts)))
    assert ThumbLog(LocalStorage(tmp_path)).undo(1, "ann").number == len(entries) + 1


def test_a_ranking_that_is_killed_while_it_is_kept_comes_to_the_same_list(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    small = SmallArchive(storage)
    for first in range(0, 120, 20):
        put_scored(small, first, FIRST)
    for attempt in range(KILLS):
        killed(_FOLD, [str(tmp_path)], 2 + attempt)
        assert Ranking.parse(scores_of(small).storage.read(RANKING_PATH) or b"").state.groups
    fold, anew = Ranking(scores_of(small)), Ranking(scores_of(small))
    fold.catch_up(100)
    anew.rebuild()
    anew.catch_up(100)
    assert whole_list(fold).num_rows
    assert whole_list(fold).equals(whole_list(anew))
    assert fold.dump("1:0:0") == anew.dump("1:0:0")
