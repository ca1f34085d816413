"""The classes of the alerts of a list, by the service `classify`, and the classes nobody wants."""

from collections.abc import Collection, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import ServiceError
from finkray.results.counts import CLASS_COLUMN
from finkray.results.store import RESULTS_FOLDER, find_store, result_schema
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span

CLASSIFY: Final = "classify"


def classes_of(archive: Storage, alert_ids: Collection[int], *, needed: bool) -> dict[int, str]:
    """Return the classes that `classify` gave to alerts; alerts without a class are left out.

    If several versions of `classify` have results, those of the version that ran last count.

    Parameters
    ----------
    archive
        its storage
    alert_ids
        of the alerts
    needed
        whether results of `classify` must be there

    Raises
    ------
    ServiceError
        If they are needed and are not there.
    """
    try:
        store = find_store(archive, CLASSIFY)
    except ServiceError as error:
        if needed:
            raise ServiceError(f"classes cannot be muted: {error}") from error
        return {}
    if not alert_ids:
        return {}
    schema = result_schema(store.about.output)
    dataset, _ = open_dataset(store.storage, Span(), None, below=RESULTS_FOLDER, schema=schema)
    found = dataset.to_table(
        ["alert_id", CLASS_COLUMN], pc.field("alert_id").isin(pa.array(sorted(alert_ids)))
    )
    rows = zip(found["alert_id"].to_pylist(), found[CLASS_COLUMN].to_pylist(), strict=True)
    return {alert_id: name for alert_id, name in rows if name is not None}


def muted(table: pa.Table, classes: Mapping[int, str], mute: Collection[str], top: int) -> pa.Table:
    """Return the first objects of a list whose class is not muted, with two columns of classes.

    `class` is the class of the alert, `similar_class` that of the ordinary alert most like it.

    Parameters
    ----------
    table
        columns of `finkray.outliers.listing.LISTED`
    classes
        of these alerts, as `classes_of` returns them
    mute
        classes whose objects are left out
    top
        how many objects at most
    """
    for name, ids in (("class", "alert_id"), ("similar_class", "similar_alert_id")):
        names = pa.array([classes.get(each) for each in table[ids].to_pylist()], pa.string())
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(index), names)
    if mute:
        is_muted = pc.is_in(table["class"], pa.array(sorted(mute), pa.string()))
        table = table.filter(pc.invert(is_muted))
    table = table.slice(0, top)
    return table.set_column(
        0, table.schema.field(0), pa.array(range(1, len(table) + 1), pa.int32())
    )
