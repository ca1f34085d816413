"""Claims, and archives full of them, for tests of what comes after a claim was decoded."""

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from finkray.claim import Claim, ClaimResult, DataFile, Gap, StagedClaim, TopicPartition
from finkray.intervals import Interval
from finkray.ledger.log import Ledger
from finkray.ledger.segment import BLOCK
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from finkray.storage.memory import MemoryStorage

ZTF = TopicPartition("cluster", "ztf_20261124_programid1", "topicid8-and-more", 0)
OTHER = ZTF._replace(partition=1)


@dataclass
class Topics:
    """The partitions that a Kafka cluster has, for a rebuild."""

    known: list[TopicPartition] = field(default_factory=lambda: [ZTF, OTHER])

    def partitions(self, wants: Callable[[str], bool]) -> list[TopicPartition]:
        """Return those whose topic is wanted."""
        return [source for source in self.known if wants(source.topic)]

    def cluster_id(self) -> str:
        """Return the id of the cluster."""
        return "cluster"


def result(
    first: int, last: int, *, source: TopicPartition = ZTF, dead: int = 0, gaps: Sequence[Gap] = ()
) -> ClaimResult:
    """Return a claim whose offsets are archived in one file, but for `dead` letters and gaps."""
    rows = last - first + 1 - dead - sum(gap.offsets for gap in gaps)
    name = f"{source.topic}-{source.topic_id[:8]}-{source.partition:05d}-{first:020d}-{last:020d}"
    files = (data_path(name), rows) if rows else None
    return ClaimResult(
        Claim(source, first, last),
        files=() if files is None else (_file(*files, first, last),),
        dead_letter_files=(_file(dead_path(name), dead, first, last),) if dead else (),
        dead_letters_by_reason=(("truncated", dead),) if dead else (),
        gaps=tuple(gaps),
    )


def sharing(results: Sequence[ClaimResult]) -> list[ClaimResult]:
    """Return the claims with one file of alerts for all of them, where each has its own."""
    files = [file for each in results for file in each.files]
    if len(files) < 2:
        return list(results)
    path = files[0].path.replace("-abcdef01.", f"-and{len(files) - 1}-abcdef01.")
    rows = sum(file.rows for file in files)
    shared, first_row = [], 0
    for each in results:
        for file in each.files:
            own = replace(file, path=path, size_bytes=len(content(path, rows)))
            each = replace(each, files=(replace(own, first_row=first_row, file_rows=rows),))  # noqa: PLW2901
            first_row += file.rows
        shared.append(each)
    return shared


def resolved(before: ClaimResult, letters: int = 1) -> StagedClaim:
    """Return the claim with its last `letters` dead letters as alerts in one more file."""
    last = min([before.claim.last_offset + 1, *(part.first for part in before.resolved)]) - 1
    first = last - letters + 1
    source = before.claim.source
    name = f"{source.topic}-{source.topic_id[:8]}-{source.partition:05d}-late-{first}"
    file = _file(data_path(name), letters, first, last)
    left = before.dead_lettered - letters
    after = replace(
        before,
        files=(*before.files, file),
        dead_letters_by_reason=(("truncated", left),) if left else (),
        resolved=(Interval(first, last), *before.resolved),
    )
    return StagedClaim(after, {file.path: f"staging/none/{first}"})


def data_path(name: str, topic: str = ZTF.topic) -> str:
    return f"alerts/topic={topic}/year=2026/month=11/day=24/hour=01/{name}-abcdef01.parquet"


def dead_path(name: str, topic: str = ZTF.topic) -> str:
    return f"deadletters/topic={topic}/year=2026/month=11/day=24/{name}.parquet"


def content(path: str, rows: int) -> bytes:
    """Return what `stage` writes: enough to tell whole files from halves."""
    return f"{path.rpartition('/')[2]} {rows}".encode()


def stage(storage: Storage, folder: str, one: ClaimResult) -> StagedClaim:
    """Write the files of a claim into a staging folder."""
    staged = {}
    for file in (*one.files, *one.dead_letter_files):
        at = f"{folder}/{file.path.rpartition('/')[2]}"
        storage.delete([at])
        with storage.stage(at, file.path) as out:
            out.write(content(file.path, file.whole.rows))
        staged[file.path] = at
    return StagedClaim(one, staged)


def compact_now(ledger: Ledger) -> int:
    """Compact the ledger and wait; return the number of files written."""
    folding = ledger.compact()
    return 0 if folding is None else folding.result()


def append_a_block(ledger: Ledger) -> None:
    """Append as many entries to a new ledger as a compaction takes."""
    for n in range(BLOCK):
        claim = unstaged(result(10 * n, 10 * n + 9))
        ledger.append([claim])
        ledger.mark_published(list(claim.staged))


def unstaged(one: ClaimResult) -> StagedClaim:
    """Return a claim without files in staging, for tests that never look at them."""
    paths = [file.path for file in (*one.files, *one.dead_letter_files)]
    return StagedClaim(one, {path: f"staging/none/{path.rpartition('/')[2]}" for path in paths})


def _file(path: str, rows: int, first: int, last: int) -> DataFile:
    return DataFile(
        path=path,
        rows=rows,
        size_bytes=len(content(path, rows)),
        first_offset=first,
        last_offset=last,
        schema_fingerprint="abcdef01" * 8,
        hour_utc="2026-11-24T01:00:00Z",
    )


@contextmanager
def quick_storage(kind: str = "local") -> Iterator[Storage]:
    """Yield an empty storage for many commits, without durability.

    `local` is a folder, in memory where there is such a file system; `memory` is a
    `MemoryStorage`, on which nothing works that needs a folder.
    """
    if kind == "memory":
        storage = MemoryStorage(uuid.uuid4().hex)
        yield storage
        storage.delete_folder("")
        return
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield LocalStorage(Path(folder) / "archive")
