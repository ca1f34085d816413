"""Find the claims that share files: one entry of the ledger holds them all. Pure."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from finkray.claim import ClaimResult

T = TypeVar("T")


def sharing_groups(results: Iterable[ClaimResult]) -> list[list[ClaimResult]]:
    """Return the claims in groups that share files; see `connected`."""
    return connected(results, shared_paths)


def shared_paths(result: ClaimResult) -> list[str]:
    """Return the paths of the files that a claim shares with others."""
    return [file.path for file in result.files if file.is_shared]


def connected(items: Iterable[T], keys_of: Callable[[T], Iterable[str]]) -> list[list[T]]:
    """Return items in groups that have keys in common, in the order of the first of each group.

    Two items of a group may have no key in common but each one with a third. An item without a key
    is a group of its own.
    """
    groups: list[list[T]] = []
    group_of: dict[str, list[T]] = {}
    for item in items:
        keys = list(keys_of(item))
        joined = {id(group_of[key]): group_of[key] for key in keys if key in group_of}
        group, *others = joined.values() or [[]]
        if not group:
            groups.append(group)
        group.append(item)
        for other in others:
            group += other
            group_of |= dict.fromkeys([k for k, owner in group_of.items() if owner is other], group)
            groups = [each for each in groups if each is not other]
        group_of |= dict.fromkeys(keys, group)
    return groups
