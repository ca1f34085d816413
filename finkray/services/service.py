"""A service: a class or a function that computes columns for alerts.

    class Bright(finkray.Service):
        columns = ["candidate.magpsf"]
        output = pa.schema([("bright", pa.bool_())])

        def process(self, alerts: pa.Table) -> pa.Table:
            return pa.table({"bright": pc.less(alerts["candidate.magpsf"], 18.0)})

A service that keeps no state between two batches may be a function:

    @finkray.service(columns=["candidate.magpsf"], output=pa.schema([("bright", pa.bool_())]))
    def bright(alerts: pa.Table) -> pa.Table:
        return pa.table({"bright": pc.less(alerts["candidate.magpsf"], 18.0)})
"""

import hashlib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from finkray.errors import ServiceError, SettingsError
from finkray.services.contract import refuse_declaration, refuse_inputs, refuse_shares
from finkray.settings.reader import SECRET_NAME
from finkray.text import error_text

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_RESULTS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")

_DIGEST_CHARS = 12
"""Characters of SHA-256 in a default version: 48 bits tell a few thousand versions apart."""


class Service:
    """The base class of services: reads some columns of each alert, and adds some of its own.

    Attributes
    ----------
    columns
        columns that it reads; ``record.field`` is a field of a record (or of each record of a
        list, as ``prv_candidates.jd``: then a column of lists). Nothing else is loaded. `process`
        finds each under the name given here. What an alert's schema lacks is null
    output
        columns that it adds, by name and type
    name
        name of the folder of its results; by default the name of the class, as
        ``bright_star`` for ``BrightStar``
    version
        results of another version go to another folder; by default a digest of the module's
        source, which differs after each change. A service that is made with parameters must
        name them in a version of its own
    needs
        names of results of other services that an alert must have before this service gets it.
        Their columns are named in `columns` as ``classify.class``: the name of the results, a
        dot, the column. A name may be followed by a version, as in ``classify/2``
    uses
        names of results that are read as far as they are there when an alert's turn comes; their
        columns are null where they are not
    settings
        the table ``[services.<name>]`` of the settings file; set before `setup` is called. The
        default version differs with the settings, except with those whose names look like secrets
    shares
        names of other tables that this service reads: ``catalogs``, the settings of the
        catalogues, or ``outliers``, the folder of the models
    shared
        these tables, by name; set before `setup` is called
    """

    columns: Sequence[str] = ()
    output: pa.Schema = pa.schema([])
    name: str | None = None
    version: str | None = None
    needs: Sequence[str] = ()
    uses: Sequence[str] = ()
    settings: Mapping[str, Any] = MappingProxyType({})
    shares: Sequence[str] = ()
    shared: Mapping[str, Mapping[str, Any]] = MappingProxyType({})

    def setup(self) -> None:
        """Load models, catalogues and the like: once for each process, before its first alert."""

    def process(self, alerts: pa.Table) -> pa.Table:
        """Compute the columns of `output` for a batch of alerts.

        Parameters
        ----------
        alerts
            the columns that `columns` names, one row for each alert

        Returns
        -------
        Table
            the columns of `output`, with one row for each alert in the same order; null where
            there is nothing to say about an alert
        """
        raise NotImplementedError(f"{type(self).__name__} has no method process(alerts)")

    def close(self) -> None:
        """Release what `setup` took."""


class FunctionService(Service):
    """A function as a service; made by the decorator `service`, and still callable."""

    def __init__(self, function: Callable[[pa.Table], pa.Table], declared: "Declared") -> None:
        self.columns = declared.columns
        self.output = declared.output
        self.name = declared.name or function.__name__.lower()
        self.version = declared.version
        self.needs = declared.needs
        self.uses = declared.uses
        self.function = function
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__qualname__ = function.__qualname__

    def __call__(self, alerts: pa.Table) -> pa.Table:
        """Call the function as if it were not decorated."""
        return self.function(alerts)

    def __reduce__(self) -> tuple[Any, ...]:
        # The function's name in its module means this object.
        return load_service, (f"{self.__module__}:{self.__qualname__}",)

    def process(self, alerts: pa.Table) -> pa.Table:
        """Call the function."""
        return self.function(alerts)


@dataclass(frozen=True, slots=True)
class Declared:
    """What the decorator `service` declares for a function; as the attributes of `Service`."""

    columns: Sequence[str]
    output: pa.Schema
    name: str | None
    version: str | None
    needs: Sequence[str]
    uses: Sequence[str]


def service(
    *,
    columns: Sequence[str],
    output: pa.Schema,
    name: str | None = None,
    version: str | None = None,
    needs: Sequence[str] = (),
    uses: Sequence[str] = (),
) -> Callable[[Callable[[pa.Table], pa.Table]], FunctionService]:
    """Make a service of a function that keeps no state between two batches.

    Parameters
    ----------
    columns, output, version, needs, uses
        as of `Service`
    name
        by default that of the function
    """

    def decorate(function: Callable[[pa.Table], pa.Table]) -> FunctionService:
        return FunctionService(function, Declared(columns, output, name, version, needs, uses))

    return decorate


@dataclass(frozen=True, slots=True)
class Described:
    """What a service declares.

    Attributes
    ----------
    name, version
        of the folder in which its results are
    columns
        columns that it reads
    output
        columns that it adds
    doc
        the first line of its docstring
    needs, uses
        results of other services that it waits for, and that it reads as far as they are there
    shares
        tables of finkray's settings that it reads, besides its own
    """

    name: str
    version: str
    columns: tuple[str, ...]
    output: pa.Schema
    doc: str
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """All results of other services that it reads."""
        return (*self.needs, *self.uses)

    @property
    def packet_columns(self) -> tuple[str, ...]:
        """The columns that are read from the alerts themselves."""
        names = {input_name(text) for text in self.inputs}
        return tuple(column for column in self.columns if column.partition(".")[0] not in names)

    def columns_of(self, name: str) -> tuple[str, ...]:
        """Return the columns that are read from the results of a name, without that name."""
        return tuple(
            column.removeprefix(f"{name}.")
            for column in self.columns
            if column.startswith(f"{name}.")
        )


def input_name(text: str) -> str:
    """Return the name of results that may be written with a version, as ``classify/2``."""
    return text.partition("/")[0]


def check_results_name(name: str) -> None:
    """Check a name that a person gives to results: it becomes a folder of the archive.

    Raises
    ------
    SettingsError
        if it is not a plain name, but a path, for example
    """
    if not _RESULTS_NAME.fullmatch(name):
        raise SettingsError(
            f"--into {name!r}: expected a name of letters, digits, - and _ that begins with a "
            "letter or a digit, as in trial-2"
        )


def describe(service: Service) -> Described:
    """Return what a service declares.

    Raises
    ------
    ServiceError
        if that is not possible: names each fault
    """
    service_class = type(service)
    name = service.name or _snake_case(service_class.__name__)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ServiceError(
            f"name = {name!r} of {service_class.__name__}: expected small letters, digits, - and "
            "_, beginning with a letter, as in 'bright_star'"
        )
    version = service.version or source_digest(service)
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ServiceError(
            f"version = {version!r} of {name}: expected a text of letters, digits and "
            "._+-, as in '1.2'"
        )
    refuse_declaration(name, service.columns, service.output)
    refuse_inputs(name, service.columns, service.needs, service.uses)
    refuse_shares(name, service.shares)
    return Described(
        name=name,
        version=version,
        columns=tuple(service.columns),
        output=service.output.remove_metadata(),
        doc=(inspect.getdoc(service) or "").partition("\n")[0],
        needs=tuple(service.needs),
        uses=tuple(service.uses),
        shares=tuple(service.shares),
    )


def source_digest(service: Service) -> str:
    """Return a digest of the modules in which the service's class and those above it are defined.

    Settings of the service are part of it if there are any, those that look like secrets apart.

    Raises
    ------
    ServiceError
        if there is no source, as of a class that was typed into an interpreter
    """
    names = [service.__module__, *(base.__module__ for base in type(service).__mro__)]
    digest = hashlib.sha256()
    for name in dict.fromkeys(names):
        if name in ("builtins", __name__):
            continue
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or not Path(file).is_file():
            raise ServiceError(
                f"the source of {name} is not to be found, so the service's version is not "
                "known: put it into a file, or give it an attribute version = '1'"
            )
        digest.update(Path(file).read_bytes())
    if service.settings:
        digest.update(json.dumps(without_secrets(service.settings), sort_keys=True).encode())
    return digest.hexdigest()[:_DIGEST_CHARS]


def without_secrets(settings: Any) -> Any:
    """Return settings without those whose names look like secrets."""
    if isinstance(settings, Mapping):
        return {
            key: without_secrets(value)
            for key, value in settings.items()
            if not SECRET_NAME.search(key)
        }
    return [without_secrets(item) for item in settings] if isinstance(settings, list) else settings


def load_service(spec: str) -> Service:
    """Return the service that ``module:Name`` names: an object, or a class without arguments.

    Raises
    ------
    ServiceError
        if there is none: says what to do
    """
    module_name, separator, attribute = spec.partition(":")
    if not separator or not module_name or not attribute:
        raise ServiceError(f"{spec!r} names no service: expected module:Name, as mymodule:Bright")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name == module_name.partition(".")[0] or error.name == module_name:
            raise ServiceError(
                f"there is no module {module_name}: give the command in the folder that has "
                f"{module_name.replace('.', '/')}.py"
            ) from error
        raise ServiceError(
            f"{module_name} needs the module {error.name}, which is not installed here"
        ) from error
    except Exception as error:
        raise ServiceError(f"{module_name} cannot be imported: {error_text(error)}") from error
    target: Any = module
    for name in attribute.split("."):
        target = getattr(target, name, None)
        if target is None:
            raise ServiceError(f"{module_name} has no {attribute}{_services_of(module)}")
    if inspect.isclass(target) and issubclass(target, Service):
        try:
            return target()
        except Exception as error:
            raise ServiceError(
                f"{spec} is called without arguments, and then says {error_text(error)}"
            ) from error
    if isinstance(target, Service):
        return target
    raise ServiceError(
        f"{spec} is no service: derive it from finkray.Service, or decorate the function with "
        "@finkray.service(columns=…, output=…)"
    )


def _services_of(module: Any) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if (isinstance(value, Service) or (inspect.isclass(value) and issubclass(value, Service)))
        and value is not Service
    ]
    return f"; its services are {', '.join(sorted(names))}" if names else " and no other service"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")
