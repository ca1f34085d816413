"""A cache of shards: the most recently used, up to a limit in bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from catalogs.shard import Shard

Key = tuple[str, Hashable]


@dataclass
class MemoryUse:
    """The memory that shards take.

    Attributes
    ----------
    held_bytes, peak_bytes
        now, and the largest so far
    loads, hits
        how often a shard was read, and how often it was in memory
    """

    held_bytes: int = 0
    peak_bytes: int = 0
    loads: int = 0
    hits: int = 0


class ShardMemory:
    """Keeps shards of all catalogues of one process. Not safe for threads.

    Parameters
    ----------
    limit_bytes
        of all shards together; one shard is always kept, however large it is
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.use = MemoryUse()
        self._shards: OrderedDict[Key, Shard] = OrderedDict()
        self._largest_bytes = 0

    def get(self, key: Key, load: Callable[[], Shard]) -> Shard:
        """Return a shard: from memory, else from `load`, after others were dropped for it."""
        shard = self._shards.get(key)
        if shard is not None:
            self.use.hits += 1
            self._shards.move_to_end(key)
            return shard
        # Before the shard is read, so that both are never in memory at once.
        self._make_room(self._largest_bytes)
        shard = load()
        self.use.loads += 1
        self._largest_bytes = max(self._largest_bytes, shard.nbytes)
        self._make_room(shard.nbytes)
        self._shards[key] = shard
        self.use.held_bytes += shard.nbytes
        self.use.peak_bytes = max(self.use.peak_bytes, self.use.held_bytes)
        return shard

    def forget(self, catalog: str) -> None:
        """Drop all shards of a catalogue."""
        for key in [key for key in self._shards if key[0] == catalog]:
            self.use.held_bytes -= self._shards.pop(key).nbytes

    def _make_room(self, size_bytes: int) -> None:
        while self._shards and self.use.held_bytes + size_bytes > self.limit_bytes:
            _, shard = self._shards.popitem(last=False)
            self.use.held_bytes -= shard.nbytes
