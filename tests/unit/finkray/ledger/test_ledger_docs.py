"""docs/ledger.md is true: what it says is enough to read a ledger without finkray."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finkray.claim import Gap, StagedClaim
from finkray.ledger.entry import Entry
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_entries
from finkray.ledger.table import SCHEMA
from tests.support.ledgers import (
    ZTF,
    compact_now,
    quick_storage,
    resolved,
    result,
    unstaged,
)

TEXT = (Path(__file__).parents[4] / "docs" / "ledger.md").read_text()


@pytest.fixture(scope="module")
def alerts_by_topic() -> Callable[[Path], Counter[str]]:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    found: Callable[[Path], Counter[str]] = namespace["alerts_by_topic"]
    return found


def test_the_recipe_sums_up_a_folded_and_revised_ledger(
    alerts_by_topic: Callable[[Path], Counter[str]],
) -> None:
    other = ZTF._replace(topic="other", topic_id="other-id")
    with quick_storage() as storage:
        assert alerts_by_topic(Path(storage.uri)) == Counter()
        ledger = Ledger.take_over(storage)
        for n in range(1200):
            source = other if n % 3 else ZTF
            ledger.append([unstaged(result(10 * n, 10 * n + 9, source=source, dead=n % 2))])
            if n in (30, 1190):
                old = result(10 * n, 10 * n + 9, source=source, dead=n % 2)
                gap = Gap("expired", 10 * n, 10 * n + 3)
                new = result(10 * n, 10 * n + 9, source=source, dead=n % 2, gaps=[gap])
                assert old.claim == new.claim
                made = StagedClaim(new, {new.files[0].path: "staging/x"})
                ledger.append([made], kind="repaired")
            if n in (45, 1191):
                before = result(10 * n, 10 * n + 9, source=source, dead=1)
                ledger.append([resolved(before)], kind="resolved")
        ledger.mark_published(list(ledger.unpublished))
        assert compact_now(ledger) == 1200 // 64 + 1
        assert storage.files("ledger/log")
        expected = Counter[str]()
        for source, partition in ledger.state.partitions.items():
            expected[source.topic] += partition.totals.archived
        assert alerts_by_topic(Path(storage.uri)) == expected


def test_every_key_and_column_is_explained() -> None:
    with quick_storage() as storage:
        Ledger.take_over(storage)
        (entry,) = read_entries(storage)
    keys = {*re.findall(r'"(\w+)":', entry.to_bytes().decode()), *SCHEMA.names}
    explained = set(re.findall(r"`(\w+)`", TEXT))
    assert keys <= explained
    assert set(Entry.__dataclass_fields__) <= explained
