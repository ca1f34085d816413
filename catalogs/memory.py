"""The shards that are in memory: those used last, as many as fit under a limit."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from catalogs.shard import Shard

Key = tuple[str, Hashable]


@dataclass
class MemoryUse:
    """What the shards took.

    Attributes
    ----------
    held_bytes, peak_bytes
        now, and at most so far
    loads, hits
        how often a shard was read, and how often it was there
    """

    held_bytes: int = 0
    peak_bytes: int = 0
    loads: int = 0
    hits: int = 0


class ShardMemory:
    """Holds shards of any catalogues of one process; not for several threads at once.

    Parameters
    ----------
    limit_bytes
        of all shards together. One shard is always held, however large it is.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.use = MemoryUse()
        self._shards: OrderedDict[Key, Shard] = OrderedDict()
        self._largest_bytes = 0

    def get(self, key: Key, load: Callable[[], Shard]) -> Shard:
        """A shard: the one that is held, else what `load` reads, for which room is made."""
        shard = self._shards.get(key)
        if shard is not None:
            self.use.hits += 1
            self._shards.move_to_end(key)
            return shard
        # Before it is read, so that both are never there at once.
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
        """Let go of all shards whose key begins with this."""
        for key in [key for key in self._shards if key[0] == catalog]:
            self.use.held_bytes -= self._shards.pop(key).nbytes

    def _make_room(self, size_bytes: int) -> None:
        while self._shards and self.use.held_bytes + size_bytes > self.limit_bytes:
            _, shard = self._shards.popitem(last=False)
            self.use.held_bytes -= shard.nbytes
