"""The names that people may import: a change of this list is a change that users notice."""

import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

import finkray
import finkray.adapter
import finkray.errors
import finkray.testing
from finkray.outliers.archive_models import OutlierModels
from finkray.outliers.model import OutlierModel
from finkray.results.joined import JoinedDataset

SURFACE = {
    finkray: [
        "Archive",
        "Durable",
        "Service",
        "__version__",
        "lightcurve",
        "open_archive",
        "service",
    ],
    finkray.adapter: [
        "CUTOUTS",
        "DETECTION",
        "HISTORY_POINT",
        "NEAR_KNOWN_ARCSEC",
        "NEIGHBOUR",
        "NJY_ZEROPOINT_MAG",
        "Part",
        "SOLAR_SYSTEM",
        "columns",
        "cutouts",
        "detections",
        "fits_bytes",
        "history",
        "neighbours",
        "positions",
        "solar_system",
    ],
    finkray.errors: [
        "ArchiveHeld",
        "BatchGone",
        "CatalogError",
        "CatalogUnavailable",
        "ClusterUnavailable",
        "CodeMismatch",
        "Fenced",
        "FilterError",
        "FinkrayError",
        "KafkaUnavailable",
        "LedgerCorrupt",
        "LedgerError",
        "LedgerReplaced",
        "MemoryExceeded",
        "MessageRefused",
        "NightError",
        "OutlierError",
        "ProducerFenced",
        "SchemaError",
        "SchemaUnavailable",
        "ServiceError",
        "SettingsError",
        "StorageError",
        "TooFewPoints",
        "TooManyColumns",
        "TopicChanged",
        "UnknownObject",
    ],
    finkray.testing: ["SAMPLE", "alerts", "run"],
}


@pytest.mark.parametrize("module", SURFACE, ids=lambda module: module.__name__)
def test_the_public_names_are_these(module: ModuleType) -> None:
    assert sorted(module.__all__) == SURFACE[module]
    assert all(getattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("module", SURFACE, ids=lambda module: module.__name__)
def test_what_a_module_defines_is_public_or_has_an_underscore(module: ModuleType) -> None:
    defined = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    }
    assert defined <= set(module.__all__)


def functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """The functions and methods that people call, by name."""
    for owner in (finkray.Archive, finkray.Service, OutlierModel, OutlierModels, JoinedDataset):
        for name in dir(owner):
            method = getattr(owner, name)
            if not name.startswith("_") and callable(method):
                yield f"{owner.__name__}.{name}", method
    for module in SURFACE:
        for name in module.__all__:
            if inspect.isfunction(getattr(module, name)):
                yield f"{module.__name__}.{name}", getattr(module, name)


@pytest.mark.parametrize("name", dict(functions()))
def test_every_parameter_of_a_public_function_is_explained(name: str) -> None:
    function = dict(functions())[name]
    doc = inspect.getdoc(function) or ""
    assert doc, f"{name} has no docstring"
    if re.search(r"[Pp]arameters (and errors )?are (those|as) of `", " ".join(doc.split())):
        return
    for parameter in inspect.signature(function).parameters:
        listed = re.search(rf"^(\w+, )*{parameter}(, \w+)*$", doc, re.MULTILINE)
        assert listed or parameter == "self", f"{name}: {parameter} is not explained"
