"""A set of integers, stored as disjoint ranges: the offsets of a partition that are done.

Claims of a partition follow each other, so the set remains a few ranges however many claims
were added, and every operation is a binary search.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Interval(NamedTuple):
    """The integers from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of integers in the interval."""
        return self.last - self.first + 1


class IntervalSet:
    """Disjoint intervals that never touch: two that touch are one.

    Parameters
    ----------
    intervals
        initial content, in any order, without overlap

    Raises
    ------
    ValueError
        if two of them overlap
    """

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in intervals:
            self.add(first, last)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "IntervalSet":
        """Return the set of these numbers, each given once."""
        return cls((number, number) for number in sorted(numbers))

    def __contains__(self, number: int) -> bool:
        return self.covers(number, number)

    def __iter__(self) -> Iterator[Interval]:
        return map(Interval, self._firsts, self._lasts)

    def __len__(self) -> int:
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"IntervalSet({[tuple(interval) for interval in self]})"

    @property
    def size(self) -> int:
        """Number of integers in the set."""
        return sum(interval.size for interval in self)

    @property
    def first(self) -> int | None:
        """The smallest number, None if the set is empty."""
        return self._firsts[0] if self._firsts else None

    @property
    def last(self) -> int | None:
        """The largest number, None if the set is empty."""
        return self._lasts[-1] if self._lasts else None

    def first_free(self, at: int) -> int:
        """Return the first number from `at` on that is not in the set."""
        index = bisect_left(self._lasts, at)
        inside = index < len(self._firsts) and self._firsts[index] <= at
        return self._lasts[index] + 1 if inside else at

    def overlaps(self, first: int, last: int) -> list[Interval]:
        """Return the parts of first..last that are in the set."""
        begin, end = self._touched(first, last)
        return [
            Interval(max(first, self._firsts[index]), min(last, self._lasts[index]))
            for index in range(begin, end)
        ]

    def holes(self, first: int, last: int) -> list[Interval]:
        """Return the parts of first..last that are not in the set."""
        gaps = []
        at = first
        for stored in self.overlaps(first, last):
            if at < stored.first:
                gaps.append(Interval(at, stored.first - 1))
            at = stored.last + 1
        if at <= last:
            gaps.append(Interval(at, last))
        return gaps

    def covers(self, first: int, last: int) -> bool:
        """Return whether all of first..last is in the set."""
        return self.overlaps(first, last) == [Interval(first, last)]

    def add(self, first: int, last: int) -> None:
        """Add first..last.

        Raises
        ------
        ValueError
            if part of it is in the set already, or it ends before it begins; the set is unchanged
        """
        if first > last:
            raise ValueError(f"a range from {first} to {last}")
        begin, end = self._touched(first, last)
        if begin != end:
            raise ValueError(f"{first}-{last} overlaps {self._firsts[begin]}-{self._lasts[begin]}")
        # Merge with a neighbour that ends right before or begins right after.
        if begin > 0 and self._lasts[begin - 1] == first - 1:
            begin -= 1
            first = self._firsts[begin]
        if end < len(self._firsts) and self._firsts[end] == last + 1:
            last = self._lasts[end]
            end += 1
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def _touched(self, first: int, last: int) -> tuple[int, int]:
        """Return the slice of stored intervals that share a number with first..last."""
        begin = bisect_left(self._lasts, first)
        return begin, max(begin, bisect_right(self._firsts, last))
