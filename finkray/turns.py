"""Let keys, as topics, take turns: each has a queue, and the next item is that of the next key."""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Turns(Generic[K, T]):
    """Queues of items by key, of which the keys are served in turn. Not thread-safe."""

    def __init__(self) -> None:
        # In the order of the turns: the first key is next. No queue is empty.
        self._queues: dict[K, deque[T]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __iter__(self) -> Iterator[T]:
        for queue in self._queues.values():
            yield from queue

    def add(self, key: K, item: T) -> None:
        """Append an item to the queue of its key; a key without items gets the last turn."""
        self._queues.setdefault(key, deque()).append(item)

    def next_key(self, skipped: Collection[K] = ()) -> K | None:
        """Return the key whose turn it is, without those to skip; None if there is none."""
        return next((key for key in self._queues if key not in skipped), None)

    def first(self, key: K) -> T:
        """Return the first item of a key that has any."""
        return self._queues[key][0]

    def pop(self, key: K) -> T:
        """Remove and return the first item of a key that has any, and pass its turn."""
        queue = self._queues.pop(key)
        item = queue.popleft()
        if queue:
            self._queues[key] = queue
        return item

    def pass_turn(self, key: K) -> None:
        """Give a key that has items the last turn."""
        self._queues[key] = self._queues.pop(key)

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Remove all items but the wanted ones."""
        kept = {
            key: deque(item for item in queue if wanted(item))
            for key, queue in self._queues.items()
        }
        self._queues = {key: queue for key, queue in kept.items() if queue}

    def clear(self) -> None:
        """Remove all items."""
        self._queues.clear()
