"""Measure what must not grow in a long run: memory of each process, ledger files, objects.

`take_sample` measures a running archive, `grown_bytes` compares the medians of samples,
which a few outliers do not move.
"""

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from finkray.host.java import find_java
from jobs.cluster.local_ray import LocalRay
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.killing import KINDS, Finder

MIB = 1024 * 1024

RAY_PROCESSES = ("gcs_server", "raylet")
"""Ray's own processes that take part in every call."""


@dataclass(frozen=True)
class Sample:
    """The archive after a number of claims.

    Attributes
    ----------
    claims
        durable so far
    memory_bytes
        by kind of process, the sum over its processes: of a JVM the live objects of its heap
        after a full collection, of others their memory without the pages of files. A page of a
        program or a library counts for a process alone once no other program has it open
    pids
        of all these processes
    files
        number of files, by kind
    compacted
        whether the ledger has compacted entries
    micro_batch_p50_s
        of the last micro-batches, for the output only: no test compares times
    """

    claims: int
    memory_bytes: Mapping[str, int]
    pids: frozenset[int]
    files: Mapping[str, int]
    compacted: bool
    micro_batch_p50_s: float

    def __str__(self) -> str:
        memory = {kind: f"{size / MIB:.1f}" for kind, size in self.memory_bytes.items()}
        return (
            f"{self.claims} claims, micro-batches of {self.micro_batch_p50_s:.2f} s, "
            f"MiB {memory}, files {dict(self.files)}"
        )


def _all_of(find: Finder, archive: ArchiveUnderTest, ray: LocalRay) -> list[psutil.Process]:
    return list(find(archive, ray))


def take_sample(archive: ArchiveUnderTest, ray: LocalRay, claims: int, scratch: Path) -> Sample:
    """Take a sample; `scratch` is where the driver and Spark have their temporary folders."""
    memory: dict[str, int] = {}
    pids = set()
    for kind, find in KINDS.items():
        # A process that changes its title has no command line for a moment, and is not found.
        for process in wait_until(f"a {kind}", partial(_all_of, find, archive, ray)):
            # A child has the command line of its parent until it runs its own program.
            with suppress(psutil.NoSuchProcess):
                memory[kind] = memory.get(kind, 0) + memory_bytes(process)
                pids.add(process.pid)
    for process in psutil.Process(ray.process.pid).children(recursive=True):
        if process.name() in RAY_PROCESSES:
            memory[process.name()] = own_bytes(process)
    files = {
        "ledger": count(archive.root / "ledger"),
        "staging": count(archive.root / "staging"),
        "temporary folders": count(scratch),
        "Ray's session": count(ray.folder),
    }
    compacted = count(archive.root / "ledger" / "folded") > 0
    snapshot = archive.snapshot()
    assert snapshot is not None
    assert snapshot.micro_batch is not None
    p50_s = snapshot.micro_batch.p50_duration_s
    return Sample(claims, memory, frozenset(pids), files, compacted, p50_s)


def memory_bytes(process: psutil.Process) -> int:
    """Return the memory that the process keeps, see `Sample`."""
    if process.name() == "java":
        return live_heap_bytes(process.pid)
    return own_bytes(process)


def own_bytes(process: psutil.Process) -> int:
    """Return the memory of a process without the pages of files."""
    return sum(mapping.anonymous for mapping in process.memory_maps(grouped=True))


def live_heap_bytes(pid: int) -> int:
    """Return the size of all live objects in a JVM, after a full garbage collection."""
    jcmd = find_java().home / "bin" / "jcmd"
    histogram = subprocess.run(
        [jcmd, str(pid), "GC.class_histogram"], capture_output=True, text=True, check=True
    ).stdout
    # The last line: Total, number of instances, bytes.
    return int(histogram.strip().splitlines()[-1].split()[2])


def count(folder: Path) -> int:
    """Count the files below a folder, at any depth."""
    return sum(1 for path in folder.rglob("*") if not path.is_dir())


def grown_bytes(before: Sequence[Sample], after: Sequence[Sample]) -> dict[str, float]:
    """Return by how much the median memory of each kind is larger in the later samples."""
    kinds = {kind for sample in (*before, *after) for kind in sample.memory_bytes}
    return {kind: _median(after, kind) - _median(before, kind) for kind in sorted(kinds)}


def _median(samples: Sequence[Sample], kind: str) -> float:
    return median(sample.memory_bytes.get(kind, 0) for sample in samples)
