"""What the ledger has beyond the index: new files, and files that were replaced."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from finkray.index.manifest import Anchor, Manifest
from finkray.ledger.entry import REVISIONS, Entry
from finkray.ledger.follow import new_files
from finkray.ledger.read import read_entries
from finkray.storage.contract import Storage


@dataclass(slots=True)
class Pending:
    """The sum of some ledger entries, for the index.

    Attributes
    ----------
    files
        by path, the last entry that wrote the file, in order of commit
    replaced
        paths that the entries wrote again or dropped: rows that were indexed before do not count
    last
        the last entry; None if there is none
    rows
        alerts in the files
    """

    files: dict[str, Entry] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    last: Entry | None = None
    rows: int = 0

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        if entry.kind in REVISIONS:
            before = {file.path for result in entry.superseded for file in result.files}
            after = {file.path for result in entry.claims for file in result.files}
            self._replace((before - after) | set(entry.remade))
        for _, file in new_files(entry):
            self.files[file.path] = entry
            self.rows += file.rows
        self.last = entry

    def _replace(self, paths: set[str]) -> None:
        self.replaced |= paths
        for path in paths:
            self.files.pop(path, None)


def entries_after(storage: Storage, manifest: Manifest) -> Iterator[Entry] | None:
    """Return the entries that are not indexed; None if the index is of another ledger."""
    entries = read_entries(storage, manifest.next_seq - 2)
    if manifest.anchor is not None:
        last = next(entries, None)
        if last is None or Anchor.of(last) != manifest.anchor:
            return None
    return entries
