"""Find the columns that a filter names in the alerts and in the results of services.

A name is looked for at the top of the packet, then in the record of the detection (`candidate` of
ZTF, `diaSource` of LSST), then in all other records, where it must be unique. A dot separates
record and field, and the name of a service from its column.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from finkray.errors import FilterError
from finkray.services.columns import has, names_of
from finkray.streamout.filter_file import FilterFile
from finkray.streamout.output_schema import SERVICE_STATE, Services
from finkray.surveys import SURVEYS


@dataclass(frozen=True, slots=True)
class FilterColumns:
    """Where the columns of a filter are, in alerts of one schema.

    Attributes
    ----------
    packet
        for each argument that is a column of the alerts, its full name
    services
        for each argument that is a column of a service, the service and the column
    missing
        arguments that alerts of this schema do not have
    """

    packet: Mapping[str, str]
    services: Mapping[str, tuple[str, str]]
    missing: tuple[str, ...]


def find_columns(definition: FilterFile, alerts: pa.Schema, services: Services) -> FilterColumns:
    """Find the columns of a filter.

    Parameters
    ----------
    definition
        the filter
    alerts
        columns of the alerts, as the archive has them
    services
        the services whose results there are
    """
    packet: dict[str, str] = {}
    of_services: dict[str, tuple[str, str]] = {}
    missing = []
    names = names_of(alerts)
    for argument, column in definition.arguments.items():
        service, dot, field = column.partition(".")
        found = _find(column, alerts, names)
        if found is not None:
            packet[argument] = found
        elif dot and service in services and field in (*SERVICE_STATE, *services[service].names):
            of_services[argument] = (service, field)
        else:
            missing.append(argument)
    return FilterColumns(packet, of_services, tuple(missing))


def refuse_unknown(
    definition: FilterFile, schemas: Sequence[pa.Schema], services: Services
) -> None:
    """Raise FilterError if no schema of the archive has all columns that a filter names.

    Raises
    ------
    FilterError
        names the column, and those that are called alike
    """
    named = (*definition.needs, *definition.sends)
    if unknown := [each for each in named if each not in services]:
        verb = "needs" if unknown[0] in definition.needs else "sends"
        raise FilterError(
            f"{definition.name} {verb} {unknown[0]!r}, and there are no results of that name; "
            f"there are: {', '.join(services) or 'none'}"
        )
    found = [find_columns(definition, schema, services) for schema in schemas]
    if definition.language == "fink" or not found or not all(each.missing for each in found):
        return  # what Fink's services add and no service here: its alerts are not judged
    nearest, schema = min(zip(found, schemas, strict=True), key=lambda pair: len(pair[0].missing))
    column = definition.arguments[nearest.missing[0]]
    known = [*names_of(schema), *(f"{s}.{c}" for s, own in services.items() for c in own.names)]
    last_parts = {name.rpartition(".")[2]: name for name in known}
    alike = difflib.get_close_matches(column.rpartition(".")[2], list(last_parts), 3, 0.6)
    holders = [name for name in known if name.endswith(f".{column}")]
    if len(holders) > 1:
        raise FilterError(
            f"{definition.name}: {column} may be {' or '.join(holders[:4])}: name one of them, in "
            'Python as record__field, in SQL as "record.field"'
        )
    hint = f"; there is {', '.join(last_parts[name] for name in alike)}" if alike else ""
    raise FilterError(f"{definition.name} reads {column}, which no alert has{hint}")


def _find(column: str, alerts: pa.Schema, names: Sequence[str]) -> str | None:
    if "." in column or column in alerts.names:
        return column if has(alerts, column) else None
    records = [survey.record for survey in SURVEYS.values()]
    for record in records:
        if f"{record}.{column}" in names:
            return f"{record}.{column}"
    lists = {name for name in names if _is_in_list(alerts, name)}
    holders = [
        n for n in names if n.endswith(f".{column}") and n.count(".") == 1 and n not in lists
    ]
    return holders[0] if len(holders) == 1 else None


def _is_in_list(alerts: pa.Schema, name: str) -> bool:
    return bool(pa.types.is_list(alerts.field(name.partition(".")[0]).type))
