"""The thumbs of users: a log to which entries are only appended.

    outliers/thumbs/<number>.json     an entry; created exclusively, never changed

An entry is durable before the command that made it returns, and two commands at once make two
entries. To take a thumb back is a further entry. An entry has what was shown when the user judged:
score, reasons and features, so that a model can learn it whatever becomes of the results.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from finkray.errors import OutlierError
from finkray.storage.contract import Storage

THUMBS_FOLDER: Final = "thumbs"


class Entry(BaseModel):
    """An entry of the log.

    Attributes
    ----------
    number
        its place in the log, from 1 on
    action
        `up` and `down` judge an alert, `undo` takes the entry of the number `undoes` back
    user
        who did it
    at
        when, UTC
    undoes
        number of the entry that is taken back
    survey, alert_id, object_id
        the alert
    night
        its observing night, as 2026-11-24; empty where it is not known
    model
        version of the model that had scored it
    shown
        score, p-value and reasons that the user could see
    features
        of the alert, and the numbers about its image; null where a value is missing
    note
        what the user remarked
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    action: Literal["up", "down", "undo"]
    user: str
    at: datetime
    undoes: int | None = None
    survey: str = ""
    alert_id: int = 0
    object_id: str = ""
    night: str = ""
    model: str = ""
    shown: dict[str, Any] = {}
    features: dict[str, float | None] = {}
    note: str = ""


class ThumbLog:
    """The log of an archive.

    Parameters
    ----------
    storage
        of the folder `outliers` of an archive
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def append(self, action: Literal["up", "down", "undo"], user: str, **facts: Any) -> Entry:
        """Append an entry, and return it once it is durable.

        Raises
        ------
        StorageError
            If the storage refuses; the entry may be there all the same: look before trying again.
        """
        number = self._last() + 1
        while True:
            entry = Entry(number=number, action=action, user=user, at=datetime.now(UTC), **facts)
            path = f"{THUMBS_FOLDER}/{number:08d}.json"
            if self._storage.create(path, entry.model_dump_json().encode()):
                return entry
            number += 1  # another command was faster

    def undo(self, number: int, user: str) -> Entry:
        """Take the thumb of a number back.

        Raises
        ------
        OutlierError
            If there is no such thumb, or it was taken back already.
        """
        if number not in {thumb.number for thumb in self.active()}:
            raise OutlierError(
                f"there is no thumb {number} that could be taken back: finkray outliers thumbs list"
            )
        return self.append("undo", user, undoes=number)

    def entries(self) -> list[Entry]:
        """Return all entries in order.

        Raises
        ------
        OutlierError
            If one is damaged.
        """
        out = []
        for file in self._storage.files(THUMBS_FOLDER):
            try:
                out.append(Entry.model_validate_json(self._storage.read(file.path) or b""))
            except ValidationError as error:
                raise OutlierError(
                    f"{self._storage.uri}/{file.path} is damaged: restore it, or delete it to "
                    "forget that thumb"
                ) from error
        return out

    def active(self, user: str | None = None, survey: str | None = None) -> list[Entry]:
        """Return the thumbs that count: not taken back, and of an alert a user's last one.

        Parameters
        ----------
        user, survey
            only theirs; None is all
        """
        entries = self.entries()
        undone = {entry.undoes for entry in entries if entry.action == "undo"}
        last: dict[tuple[str, str, int], Entry] = {}
        for entry in entries:
            if entry.action != "undo" and entry.number not in undone:
                last[entry.user, entry.survey, entry.alert_id] = entry
        return [
            entry
            for entry in sorted(last.values(), key=lambda each: each.number)
            if user in (None, entry.user) and survey in (None, entry.survey)
        ]

    def _last(self) -> int:
        files = self._storage.files(THUMBS_FOLDER)
        digits = files[-1].path.rpartition("/")[2].partition(".")[0] if files else "0"
        return int(digits) if digits.isdigit() else len(files)


def features_to_json(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the features of an alert as an entry has them."""
    ids = ("alert_id", "object_id")
    return {name: value for name, value in row.items() if name not in ids}
