"""Build a HATS collection of the alerts of one night or several that the ledger names.

1. Places: id, position and time of all alerts are read; an object lies where its latest alert is.
2. Runs: all alerts are read again, and put aside on the local disk in runs sorted by place; their
   narrow columns are written, hour by hour, if the collection has them.
3. Leaves: one after another from slices of the runs; a leaf that is durable is not made again.
4. The margin, the index of object ids and the metadata are made from the leaves.
5. The number of alerts is compared with the ledger's; then the collection is committed.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

import finkray
from catalogs.nights import hats_files
from catalogs.nights.generation import (
    Committed,
    Generation,
    Plan,
    commit,
    delete_old,
    open_generation,
    read_committed,
)
from catalogs.nights.hats_files import Pixel, finish_catalog, write_index, write_margin
from catalogs.nights.index import NightFacts
from catalogs.nights.inputs import NightInput, night_input
from catalogs.nights.layout import (
    ALERTS,
    MARGIN,
    MARGIN_ARCSEC,
    OBJECT_ID,
    OBJECTS,
    index_name,
)
from catalogs.nights.leaves import alerts_leaf, alerts_schema, objects_leaf, objects_schema
from catalogs.nights.narrow import narrow_writer
from catalogs.nights.places import Places, find_places
from catalogs.nights.runs import Runs, make_runs
from catalogs.nights.steps import Steps
from finkray.errors import NightError, StorageError
from finkray.storage.contract import Storage


@dataclass(frozen=True, slots=True)
class CollectionRequest:
    """Which collection to build, and how.

    Attributes
    ----------
    folder
        of the collection in the archive
    nights
        whose alerts, of the survey of the plan
    facts
        what the ledger holds of them
    plan
        what the generation is built of
    narrow
        whether the narrow columns are written too
    scratch
        folder of the local disk for the runs; None is the temporary folder
    """

    folder: str
    nights: frozenset[date]
    facts: NightFacts
    plan: Plan
    narrow: bool
    scratch: Path | None


def build_collection(storage: Storage, request: CollectionRequest, steps: Steps) -> Committed:
    """Build a generation of a collection, or return the one there is if it has all alerts.

    Parameters
    ----------
    storage
        of the archive
    request
        the collection
    steps
        called between two steps of the work

    Raises
    ------
    BuildStopped
        if `steps.go_on` raises it; the next call continues
    NightError
        if another process builds the collection, the package hats is missing, or files and ledger
        contradict each other
    StorageError
        if the storage refuses, or a file of the ledger is missing
    """
    if importlib.util.find_spec("hats") is None:
        raise NightError(
            "the package hats is not installed, which HATS nights need: pip install "
            "'finkray[catalogs]'"
        )
    folder, plan = request.folder, request.plan
    current = read_committed(storage, folder)
    if current is not None and current.is_of(plan.cursor):
        Generation(storage, folder, current.generation).clean()  # a crash may have left it
        return current
    generation = open_generation(storage, folder, plan)
    try:
        with _released(generation), _scratch_folder(storage, request) as scratch:
            committed, properties = _Build(storage, request, generation, scratch, steps).run()
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            f"{plan.title} of {plan.survey} cannot be built now: {error}; the next build continues"
        ) from error
    if not commit(storage, folder, committed, hats_files.collection_bytes(properties)):
        raise NightError(f"a later generation of {plan.title} was committed meanwhile")
    generation.clean()
    delete_old(storage, folder, datetime.now(UTC))
    return committed


class _Build:
    """One build of a generation."""

    def __init__(
        self,
        storage: Storage,
        request: CollectionRequest,
        generation: Generation,
        scratch: Path,
        steps: Steps,
    ) -> None:
        self._storage = storage
        self._request = request
        self._generation = generation
        self._scratch = scratch
        self._outer = steps
        self._steps = Steps(self._go_on, steps.tell)

    def run(self) -> tuple[Committed, Mapping[str, object]]:
        """Write all files of the generation; return what is to be committed.

        Raises
        ------
        NightError
            if the catalogue has not as many alerts as the ledger
        """
        request, plan = self._request, self._request.plan
        night = night_input(self._storage, plan.survey, request.nights, request.facts)
        places = find_places(night, self._steps)
        at = self._generation.folder
        narrow_columns = (
            narrow_writer(self._storage, at, night.narrow, list(night.left_out))
            if request.narrow
            else nullcontext()
        )
        with narrow_columns as narrow:
            runs = make_runs(night, places, narrow, self._scratch, self._steps)
        of_alerts = places.alert_pixels(plan.leaf_rows, MARGIN_ARCSEC)
        of_objects = places.object_pixels(plan.object_leaf_rows, MARGIN_ARCSEC)
        self._write_leaves(night, places, runs, of_alerts, of_objects)
        alerts, objects = self._finish(night, of_alerts, of_objects)
        archived = len(places.alert_place)
        if (
            alerts + places.without_position != archived
            or objects != len(places.object_place)
            or (narrow is not None and narrow.rows != archived)
        ):
            raise NightError(
                f"{plan.title} has {archived} alerts in the ledger's files and "
                f"{alerts} in the catalogue, {places.without_position} without a position: "
                f"delete {self._generation.folder} and build it again"
            )
        committed = Committed(
            generation=self._generation.number,
            cursor=plan.cursor,
            format=plan.format,
            survey=plan.survey,
            alerts=alerts,
            objects=objects,
            without_position=places.without_position,
            through_entry=request.facts.through_entry,
            built_at=datetime.now(UTC),
        )
        return committed, self._properties(committed)

    def _go_on(self) -> None:
        self._outer.go_on()
        self._generation.report()

    def _write_leaves(
        self,
        night: NightInput,
        places: Places,
        runs: Runs,
        of_alerts: list[Pixel],
        of_objects: list[Pixel],
    ) -> None:
        # Of ZTF a point belongs to each object that has it.
        ztf = night.survey.name == "ztf"
        beside = {} if ztf else places.objects_beside(of_objects)
        work: list[tuple[str, Pixel, Callable[[Pixel], pa.Table]]] = [
            *(
                (ALERTS, pixel, lambda pixel: alerts_leaf(night, runs, pixel))
                for pixel in of_alerts
            ),
            *(
                (OBJECTS, pixel, lambda at: objects_leaf(night, places, runs, at, beside.get(at)))
                for pixel in of_objects
            ),
        ]
        for number, (catalog, pixel, make) in enumerate(work, start=1):
            if not self._generation.is_done(catalog, pixel):
                at = f"{self._generation.folder}/{catalog}"
                hats_files.write_leaf(self._storage, at, pixel, make(pixel))
                self._generation.set_done(catalog, pixel)
            self._steps.tell(f"wrote {number:,} of {len(work):,} leaves")
            self._go_on()

    def _finish(
        self, night: NightInput, of_alerts: list[Pixel], of_objects: list[Pixel]
    ) -> tuple[int, int]:
        """Write what is beside the leaves; return the rows of alerts and of objects."""
        at = self._generation.folder
        plan = self._request.plan
        objects = finish_catalog(
            self._storage,
            f"{at}/{OBJECTS}",
            of_objects,
            objects_schema(night),
            {"catalog_type": "object"},
        )
        self._go_on()
        alerts = finish_catalog(
            self._storage,
            f"{at}/{ALERTS}",
            of_alerts,
            alerts_schema(night),
            {"catalog_type": "source", "hats_max_rows": plan.leaf_rows},
        )
        self._go_on()
        primary = f"{at}/{OBJECTS}"
        self._steps.tell("writing margin and index")
        schema = objects_schema(night)
        write_margin(
            self._storage, f"{at}/{MARGIN}", primary, of_objects, schema, arcsec=MARGIN_ARCSEC
        )
        self._go_on()
        index = f"{at}/{index_name(night.survey.name)}"
        write_index(self._storage, index, primary, of_objects, schema.field(night.object_id))
        self._go_on()
        return alerts, objects

    def _properties(self, committed: Committed) -> Mapping[str, object]:
        at = f"g{self._generation.number}"
        survey = committed.survey
        return {
            "name": f"{survey}_{self._request.plan.night}",
            "hats_primary_table_url": f"{at}/{OBJECTS}",
            "all_margins": [f"{at}/{MARGIN}"],
            "default_margin": f"{at}/{MARGIN}",
            "all_indexes": {OBJECT_ID[survey]: f"{at}/{index_name(survey)}"},
            "hats_builder": f"finkray {finkray.__version__}",
            "hats_creation_date": f"{committed.built_at:%Y-%m-%dT%H:%MUTC}",
            **committed.to_properties(),
            "finkray_nights": " ".join(map(str, sorted(self._request.nights))),
        }


@contextmanager
def _released(generation: Generation) -> Iterator[None]:
    """Let any process continue the generation if this one does not finish it."""
    try:
        yield
    except BaseException:
        with suppress(StorageError):
            generation.release()
        raise


@contextmanager
def _scratch_folder(storage: Storage, request: CollectionRequest) -> Iterator[Path]:
    """Yield an empty folder of the local disk, and delete it after the block.

    Its name is the same each time, so that the next build deletes what a killed one left.
    """
    name = f"{storage.uri}:{request.plan.survey}:{request.plan.night}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    parent = request.scratch or Path(tempfile.gettempdir())
    folder = parent / f"finkray-night-{os.getuid()}-{digest}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
