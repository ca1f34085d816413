"""List the HATS nights of an archive."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from catalogs.nights.generation import Committed, read_committed
from catalogs.nights.layout import ALERTS
from finkray.nights.layout import HATS_FOLDER, generation_folder
from finkray.storage.contract import Storage


@dataclass(frozen=True, slots=True)
class BuiltNight:
    """A night that readers can open.

    Attributes
    ----------
    night
        its date
    uri
        of the collection, as `lsdb.open_catalog` takes it
    alerts_uri
        of its catalogue of alerts
    committed
        its generation
    """

    night: str
    uri: str
    alerts_uri: str
    committed: Committed

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        committed = asdict(self.committed)
        committed["built_at"] = self.committed.built_at.isoformat()
        del committed["cursor"], committed["format"]
        return {"night": self.night, "uri": self.uri, "alerts_uri": self.alerts_uri, **committed}


def built_nights(storage: Storage) -> Iterator[BuiltNight]:
    """Yield the nights with a committed generation, by survey and date."""
    for nights in storage.folders(HATS_FOLDER):
        for folder in storage.folders(nights):
            if (night := built_night(storage, folder)) is not None:
                yield night


def built_night(storage: Storage, night_folder: str) -> BuiltNight | None:
    """Return what readers can open of a night; None if there is nothing."""
    committed = read_committed(storage, night_folder)
    if committed is None:
        return None
    generation = generation_folder(night_folder, committed.generation)
    return BuiltNight(
        night=night_folder.rpartition("/")[2],
        uri=f"{storage.uri}/{night_folder}",
        alerts_uri=f"{storage.uri}/{generation}/{ALERTS}",
        committed=committed,
    )
