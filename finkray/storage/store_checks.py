"""Try a store before an archive trusts it, and say which promise it breaks.

Some stores that call themselves compatible with S3 ignore conditions. Others check the condition
first and write afterwards, so that several writers are told that they created the same object. A
ledger in such a store loses entries, and no error shows it. The check writes some 500 small objects
below ``check-<random>/`` and deletes them. It takes a second or two on loopback, and some ten
seconds if a request takes 50 ms.
"""

import secrets
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final, NamedTuple

from finkray.errors import SettingsError, StorageError
from finkray.storage.contract import PublishOutcome, Storage, StorageCheck

RACED_CREATES: Final = 200
RACED_PUBLICATIONS: Final = 20
"""Fewer than creations: on s3:// a publication takes several requests, and its copy takes half a
second at Amazon."""

_PAIRS: Final = 12
"""How many pairs of writers run at a time, each pair with an object of its own."""

_LISTED: Final = 20

Question = Callable[[str], str]
"""Is given the path of the folder of the check; returns the answer, or raises StorageError."""


class StoreWords(NamedTuple):
    """How a kind of store is spoken of.

    Attributes
    ----------
    publication
        how a staged file gets its final name there, such as "copy"
    publications
        its plural
    ignored
        what is wrong, and what to do, if a name that is taken is not refused
    racy
        the same, if of two writers at the same time both succeed
    """

    publication: str
    publications: str
    ignored: str
    racy: str


def check_store(
    storage: Storage, words: StoreWords, more: Sequence[tuple[str, Question]] = ()
) -> Iterator[StorageCheck]:
    """Check a store; see `Storage.checks`. Each check needs the ones before.

    Parameters
    ----------
    storage
        where an archive is to lie
    words
        how it is spoken of
    more
        questions to this kind of store, by name; asked when the rights are known to suffice
    """
    folder = f"check-{secrets.token_hex(8)}"
    place = storage.below(folder)
    questions: tuple[tuple[str, Question], ...] = (
        ("storage", lambda _: _rights(place, storage.uri)),
        *more,
        ("conditions", lambda _: _conditions(place, words)),
        ("race", lambda _: _race(place, words)),
        ("lists", lambda _: _lists(place)),
    )
    try:
        for name, question in questions:
            try:
                yield StorageCheck(name, ok=True, detail=question(folder))
            except StorageError as error:
                yield StorageCheck(name, ok=False, detail=str(error))
                return
    finally:
        _tidy(place)


def refuse_unfit_store(storage: Storage) -> None:
    """Check a store; see `Storage.refuse_unfit`.

    Raises
    ------
    SettingsError
        if a check fails
    """
    for check in storage.checks(0):
        if not check.ok:
            raise SettingsError(f"no archive is begun in {storage.uri}: {check.detail}")


def _rights(place: Storage, uri: str) -> str:
    """Use each right that an archive needs; the message of a refusal names the request."""
    place.create("rights/created", b"1")
    place.replace("rights/replaced", b"1")
    place.replace("rights/replaced", b"2")
    if place.read("rights/replaced") != b"2":
        raise StorageError(f"{uri} returns an old object after it was replaced: use another store")
    with place.stage("staging/rights", "rights/published") as file:
        file.write(b"staged")
    if place.read("rights/published") is not None:
        raise StorageError(f"{uri} shows a file before it was published: use another store")
    place.publish({"rights/published": "staging/rights"})
    if [file.path for file in place.walk("rights")] == []:
        raise StorageError(f"{uri} lists nothing of what was written: use another store")
    place.delete(["rights/published", "rights/replaced"])
    if place.read("rights/published") is not None:
        raise StorageError(f"{uri} still returns an object that was deleted: use another store")
    return f"{uri} takes, lists, returns and deletes objects"


def _conditions(place: Storage, words: StoreWords) -> str:
    """Create and publish onto names that are taken."""
    if not place.create("taken", b"first") or place.create("taken", b"second"):
        raise StorageError(f"a second creation of one object was not refused: {words.ignored}")
    if place.read("taken") != b"first":
        raise StorageError(f"a refused creation replaced an object: {words.ignored}")
    with place.stage("staging/taken", "taken") as file:
        file.write(b"other")
    outcome = place.publish({"taken": "staging/taken"})["taken"]
    if outcome is not PublishOutcome.TAKEN or place.read("taken") != b"first":
        raise StorageError(f"publishing replaced an object that was there already: {words.ignored}")
    return f"a name that is taken is refused, to a creation and to a {words.publication}"


def _race(place: Storage, words: StoreWords) -> str:
    """Let two writers create and publish the same names at the same time."""

    def create(writer: int, n: int) -> bool:
        return place.create(f"created/{n}", b"%d" % writer)

    def publish(writer: int, n: int) -> bool:
        final, staged = f"published/{n}", f"staging/{writer}-{n}"
        with place.stage(staged, final) as file:
            file.write(b"%d" % writer)
        return place.publish({final: staged})[final] is PublishOutcome.MOVED

    for what, act, count in (
        ("created", create, RACED_CREATES),
        ("published", publish, RACED_PUBLICATIONS),
    ):
        with closing(_raced(act, place, what, count)) as races:
            for winners, content in races:
                if len(winners) != 1 or content != b"%d" % winners[0]:
                    raise StorageError(
                        f"two writers {what} one object at the same time, and {len(winners)} of "
                        f"them were told that they succeeded; the object holds {content!r}: "
                        f"{words.racy}"
                    )
    return (
        f"of 2 x {RACED_CREATES} creations and 2 x {RACED_PUBLICATIONS} {words.publications} one "
        "each wins"
    )


def _raced(
    act: Callable[[int, int], bool], place: Storage, folder: str, count: int
) -> Generator[tuple[list[int], bytes | None], None, None]:
    """Let two writers act on each of some objects at the same time.

    Yields
    ------
    tuple
        for each object the writers that were told that they succeeded, and its content
    """

    def both(n: int) -> tuple[list[int], bytes | None]:
        start = threading.Barrier(2)

        def run(writer: int) -> bool:
            start.wait()
            return act(writer, n)

        with ThreadPoolExecutor(2) as pair:
            winners = [writer for writer, won in enumerate(pair.map(run, range(2))) if won]
        return winners, place.read(f"{folder}/{n}")

    pool = ThreadPoolExecutor(_PAIRS)
    try:
        yield from pool.map(both, range(count))
    finally:
        pool.shutdown(cancel_futures=True)


def _lists(place: Storage) -> str:
    for n in range(_LISTED):
        path = f"lists/{n:02d} a=b"
        place.create(path, b"1")
        if path not in {file.path for file in place.files("lists")}:
            raise StorageError(
                f"{place.uri}/{path} was written and is not listed: the store's lists are late, "
                "and an archive would miss files; use one with strong consistency"
            )
    place.delete([f"lists/{n:02d} a=b" for n in range(0, _LISTED, 2)])
    left = len(place.files("lists"))
    if left != _LISTED // 2:
        raise StorageError(
            f"{place.uri}/lists shows {left} objects, of {_LISTED // 2} that are left: the "
            "store's lists are late; use one with strong consistency"
        )
    return "show each object right after it was written, and none that was deleted"


def _tidy(place: Storage) -> None:
    """Delete what the checks wrote, if the store lets them."""
    try:
        place.delete_folder("")
    except StorageError:
        return
