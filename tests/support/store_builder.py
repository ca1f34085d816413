"""A process that builds nights, all nights together and the object index, and may be killed."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from catalogs.nights.all_nights import consolidate, find_all
from catalogs.nights.build import build_night, requests
from catalogs.nights.index import NightIndex
from catalogs.nights.steps import Steps
from finkray.errors import NightError
from finkray.index.follower import IndexFollower
from finkray.index.manifest import sweep
from finkray.storage.local import LocalStorage

LEAVES: Final[dict[str, Any]] = {"leaf_rows": 12, "object_leaf_rows": 12}
_MODULES: Final = ["tests.support.store_builder", "hats.catalog.catalog", "hats.pixel_math"]


def bring_up_to_date(uri: str) -> None:
    """Do all that the daemons of the store do, to the end."""
    storage = LocalStorage(Path(uri))
    sweep(storage)
    IndexFollower(storage, step_alerts=8, fan_out=2).catch_up()
    index = NightIndex(storage)
    index.update(Steps())
    for night in sorted({night for _, night in index.nights}):
        for request in requests(index, night):
            _waited(partial(build_night, storage, replace(request, **LEAVES), Steps()))
    for nights in find_all(storage, index):
        _waited(partial(consolidate, storage, nights, Steps(), **LEAVES))


def start(uri: str) -> ForkServerProcess:
    """Start such a process; it is forked from one that has loaded the libraries."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_MODULES)
    process = context.Process(target=bring_up_to_date, args=(uri,))
    process.start()
    return process


def _waited(build: Callable[[], object]) -> None:
    """Build; the process that was killed may still be listed for a moment."""
    for _ in range(100):
        try:
            build()
        except NightError as error:
            if "is being built by" not in str(error):
                raise
            time.sleep(0.05)
        else:
            return
