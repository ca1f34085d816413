"""Read the alerts of one topic that meet a condition: the columns that points need."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from finkray import adapter
from finkray.curves.raw import columns
from finkray.curves.sky import in_box
from finkray.errors import StorageError
from finkray.nights.dataset import with_nights
from finkray.services.columns import has
from finkray.storage.contract import Storage
from finkray.storage.dataset import dataset_of_files, select_files
from finkray.storage.hours import Span
from finkray.storage.layout import ALERTS_FOLDER

_FILE_NAME: Final = "__filename"
"""pyarrow's name for the path of a row's file."""

_INT64_MAX: Final = 2**63 - 1

_OBJECT_FIELDS: Final = {
    "ztf": ("objectId",),
    "lsst": (
        *("diaObject.diaObjectId", "diaSource.diaObjectId"),
        *("ssSource.ssObjectId", "diaSource.ssObjectId"),
    ),
}
_POSITION_FIELDS: Final = {
    "ztf": (("candidate.ra",), ("candidate.dec",)),
    "lsst": (("diaSource.ra",), ("diaSource.dec", "diaSource.decl")),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """The alerts of one topic, whose files have one survey's packets.

    Attributes
    ----------
    name
        of its folder
    survey
        of its packets
    dataset
        its files
    selected
        whether these are only the files with alerts that are sought, as the object index says
    """

    name: str
    survey: str
    dataset: pads.Dataset
    selected: bool

    def read(self, condition: pc.Expression, *, histories: bool = True) -> pa.Table:
        """Return the columns that points need of the alerts that meet a condition.

        Raises
        ------
        StorageError
            if a file cannot be read
        """
        names = [
            name
            for name in columns(self.survey)
            if has(self.dataset.schema, name)
            and (histories or not pa.types.is_list(_type_of(self.dataset.schema, name)))
        ]
        chosen = {name: pc.field(*name.split(".")) for name in names}
        try:
            dataset = self.dataset
            if histories and not self.selected:
                dataset = self._files_with(condition)
            return dataset.to_table(columns=chosen, filter=condition)
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"an alert file cannot be read: {error}") from error

    def batches(self, condition: pc.Expression | None) -> Iterator[pa.RecordBatch]:
        """Yield the columns of detections and ids of objects of the alerts that meet a condition.

        Raises
        ------
        StorageError
            if a file cannot be read
        """
        fields = (*adapter.columns("detection"), *_OBJECT_FIELDS[self.survey])
        names = [name for name in dict.fromkeys(fields) if has(self.dataset.schema, name)]
        chosen = {name: pc.field(*name.split(".")) for name in names}
        try:
            yield from self.dataset.to_batches(columns=chosen, filter=condition)
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"an alert file cannot be read: {error}") from error

    def is_of(self, names: Collection[str]) -> pc.Expression | None:
        """Return whether an alert is of one of these objects; None if none can be."""
        wanted: list[str] | list[int] = sorted(names)
        if self.survey == "lsst":
            numbers = (int(name) for name in names if name.isascii() and name.isdigit())
            wanted = sorted(number for number in numbers if 0 < number <= _INT64_MAX)
        condition = None
        for field in _OBJECT_FIELDS[self.survey]:
            column = self._field([field])
            if column is not None and wanted:
                found = column.isin(wanted)
                condition = found if condition is None else condition | found
        return condition

    def in_box(self, circle: tuple[float, float, float]) -> pc.Expression | None:
        """Return whether an alert is in the box around a circle; None if none has a position."""
        ra, dec = (self._field(names) for names in _POSITION_FIELDS[self.survey])
        return None if ra is None or dec is None else in_box(ra, dec, *circle)

    def _field(self, names: Sequence[str]) -> pc.Expression | None:
        """Return the first of some columns that an alert has; None if no file has one."""
        found = [pc.field(*name.split(".")) for name in names if has(self.dataset.schema, name)]
        if not found:
            return None
        return found[0] if len(found) == 1 else pc.coalesce(*found)

    def _files_with(self, condition: pc.Expression) -> pads.Dataset:
        """Return the files with such alerts: a scan would read the histories of all files."""
        found = self.dataset.to_table(columns=[_FILE_NAME], filter=condition)
        paths = set(found[_FILE_NAME].to_pylist())
        files = [file for file in self.dataset.get_fragments() if file.path in paths]
        return pads.FileSystemDataset(
            files, self.dataset.schema, self.dataset.format, self.dataset.filesystem
        )


def topics(storage: Storage, files: Collection[str] | None = None) -> Iterator[Topic]:
    """Yield the topics of an archive that have light curves.

    Parameters
    ----------
    storage
        of the archive
    files
        paths of the only files that are opened; None is all

    Raises
    ------
    StorageError
        if a file cannot be read, or the types of two files conflict
    """
    of_topic = None if files is None else _by_topic(files)
    for topic in _names(storage) if of_topic is None else sorted(of_topic):
        try:
            if of_topic is None:
                dataset = _all_files(storage, topic)
            else:
                dataset = dataset_of_files(storage, of_topic[topic])
        except (OSError, ValueError, pa.ArrowException) as error:
            raise StorageError(f"the alerts of topic {topic} cannot be read: {error}") from error
        for survey, (ra_fields, _) in _POSITION_FIELDS.items():
            if any(has(dataset.schema, field) for field in ra_fields):
                yield Topic(topic, survey, dataset, selected=files is not None)


def _all_files(storage: Storage, topic: str) -> pads.Dataset:
    """Return the dataset of a topic, which reads narrow columns from built nights."""
    files, _ = select_files(storage, Span(), frozenset([topic]))
    alerts = dataset_of_files(storage, [file.path for file in files])
    return with_nights(storage, alerts, files, Span())


def _names(storage: Storage) -> Iterator[str]:
    for folder in sorted(storage.folders(ALERTS_FOLDER)):
        name, _, topic = folder.rpartition("/")[2].partition("=")
        if name == "topic":
            yield topic


def _by_topic(files: Collection[str]) -> dict[str, list[str]]:
    """Return paths of files by their topic, the earliest first."""
    out: dict[str, list[str]] = {}
    for path in sorted(files):
        topic = path.removeprefix(f"{ALERTS_FOLDER}/topic=").partition("/")[0]
        out.setdefault(topic, []).append(path)
    return out


def _type_of(schema: pa.Schema, name: str) -> pa.DataType:
    return schema.field(name.split(".", maxsplit=1)[0]).type
