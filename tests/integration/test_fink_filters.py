"""Filters of the package fink-filters, unchanged, say what they say when they are called by hand.

`FINKRAY_FINK_FILTERS=all` loads and compares all of them; each imports Spark and astropy.
"""

import importlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import finkray
from finkray.errors import FilterError
from finkray.ledger.follow import Position
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.alerts import AlertReader
from finkray.streamout.filter_file import FilterFile, filter_of_text
from finkray.streamout.fink_filter import arguments_of
from finkray.streamout.judging import Judge
from finkray.streamout.ledger_files import LedgerFile, files_from
from finkray.streamout.verdict import NOT_JUDGED, PASSED, Verdicts
from tests.support.packets import real_lsst_packets, real_ztf_packets
from tests.support.published import install
from tests.support.real_archives import RealArchive
from tests.support.serving import serve

pytestmark = pytest.mark.timeout(900)

ALL = os.environ.get("FINKRAY_FINK_FILTERS") == "all"

PACKAGES = (
    *("fink-filters==7.45", "fink-utils", "line_profiler", "astroquery", "pyvo"),
    *("beautifulsoup4", "html5lib", "keyring", "webencodings", "soupsieve"),
    *("jaraco.classes", "jaraco.context", "jaraco.functools", "more-itertools"),
    *("backports.tarfile", "importlib_metadata", "zipp", "jeepney", "secretstorage"),
    *(("fink-science==7.4.0",) if ALL else ()),  # 180 MB
)

ZTF_ADDED = {
    "cdsxmatch": pa.string(),
    "DR3Name": pa.string(),
    "roid": pa.int32(),
    "tns": pa.string(),
}
LSST_ADDED = {
    "simbad_otype": pa.string(),
    "tns_fullname": pa.string(),
    "vsx_Type": pa.string(),
    "gaiadr3_DR3Name": pa.string(),
    "gaiadr3_Plx": pa.float32(),
    "gaiadr3_e_Plx": pa.float32(),
    "legacydr8_zphot": pa.float32(),
    "mangrove_lum_dist": pa.float32(),
    "is_sso": pa.bool_(),
    "firstDiaSourceMjdTaiFink": pa.float64(),
}
ADDED = {"ztf": ZTF_ADDED, "rubin": LSST_ADDED}
"""By Fink's name of the survey, columns that Fink's services add and the service of this test. Of
LSST they are those that Fink published with the alerts, of ZTF made up."""

SCORES = {
    *("snn_snia_vs_nonia", "snn_sn_vs_all", "rf_snia_vs_nonia", "rf_kn_vs_nonkn", "mulens"),
    *("elephant_kstest_template", "snnSnVsOthers_score", "cats_class", "cats_score"),
}
"""Columns that machine learning adds at Fink, and no service here."""

ZTF_ALERTS, LSST_ALERTS = 172, 20

IN_CI = (
    "ztf.livestream.filter_blazar",
    "ztf.livestream.filter_fast_riser_candidates",
    "ztf.livestream.filter_unknowns",
    "rubin.livestream.filter_in_simbad",
    "rubin.livestream.filter_faint_trails",
)
LACKS_A_FILE = {"new_hostless", "inter_night_hostless", "intra_night_hostless"}
"""They import a module that the wheel of fink-science does not have."""

WANTS_THE_NETWORK = {"early_kn_candidates", "rate_based_kn_candidates", "mdwarf_flare"}

TYPES = ("BLLac", "QSO", "Star", "Unknown", "CataclyV*", "YSO", "gravitationally lensed", None)


class Context(finkray.Service):
    """Says of each alert what Fink's services say, or could say.

    Parameters
    ----------
    published
        columns that Fink published, by `diaSourceId`
    """

    columns = ("kafka_offset", "diaSourceId")
    output = pa.schema([*ZTF_ADDED.items(), *LSST_ADDED.items()])
    version = "1"

    def __init__(self, published: dict[int, dict[str, Any]]) -> None:
        self._published = published

    def process(self, alerts: pa.Table) -> pa.Table:
        rows = [self.of(row["kafka_offset"], row["diaSourceId"]) for row in alerts.to_pylist()]
        return pa.Table.from_pylist(rows, schema=self.output)

    def of(self, offset: int, source_id: int | None) -> dict[str, Any]:
        """Return what is said of an alert, null where nothing is found."""
        if source_id is not None:
            return self._published[source_id]
        return {
            "cdsxmatch": TYPES[offset % len(TYPES)],
            "DR3Name": f"Gaia DR3 {offset}" if offset % 3 == 0 else None,
            "roid": (0, 2, 3, None)[offset % 4],
            "tns": f"AT{offset}" if offset % 5 == 0 else None,
        }


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with fink-filters as it is published, and what it imports and does not declare."""
    folder = tmp_path_factory.mktemp("fink_filters")
    install(folder, *PACKAGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def context(test_data: Path) -> Context:
    raw = pq.read_table(test_data / "lsst" / "lsst_v10_0_20260309_107_fink_columns.parquet")
    rows = (
        {"diaSourceId": row["diaSourceId"], **row["xm"], **row["pred"], **row["misc"]}
        for row in raw.to_pylist()
    )
    return Context({row["diaSourceId"]: {name: row[name] for name in LSST_ADDED} for row in rows})


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, test_data: Path, context: Context
) -> RealArchive:
    made = RealArchive(tmp_path_factory.mktemp("archive"), test_data)
    made.put("ztf", list(real_ztf_packets(test_data, "20231018_fink-broker_172")))
    made.put("lsst", [frame for frame, _ in islice(real_lsst_packets(test_data), LSST_ALERTS)])
    serve(made, service=context, into="context")
    return made


@pytest.fixture(scope="module")
def judge(package: Path, archive: RealArchive) -> Iterator[Judge]:  # noqa: ARG001 - PYTHONPATH
    settings = StreamoutSettings(batch_s=30)
    made = Judge(settings, AlertReader(archive.storage))
    yield made
    made.pool.close()


def live_filters(package: Path) -> list[str]:
    """Return module and function of each live filter of the package."""
    root = package / "fink_filters"
    found = sorted(root.glob("*/livestream/filter_*/filter.py"))
    assert len(found) == 21 + 14
    return [
        f"fink_filters.{'.'.join(path.relative_to(root).with_suffix('').parts)}."
        f"{path.parent.name.removeprefix('filter_')}"
        for path in found
    ]


def definition_of(function: str) -> FilterFile:
    """Return the filter, with the columns that the service of this test adds."""
    _, survey, *_, name = function.split(".")
    plain = filter_of_text(f"{name.lower()}.toml", f'fink = "{function}"\n')
    given = [column for column in ADDED[survey] if column in plain.arguments]
    lines = [f'{column} = "context.{column}"' for column in given]
    text = "\n".join([f'fink = "{function}"', *(["[columns]", *lines] if lines else [])])
    return filter_of_text(f"{name.lower()}.toml", text)


def test_each_live_filter_reads_columns_by_finks_convention(package: Path) -> None:
    definitions = {name: definition_of(name) for name in live_filters(package)}
    read = {name.rpartition(".")[2]: each.arguments for name, each in definitions.items()}
    assert read["fast_riser_candidates"] == {
        "cdsxmatch": "context.cdsxmatch",
        "roid": "context.roid",
        "drb": "drb",
        "jd": "jd",
        "jdstarthist": "jdstarthist",
        "cjdc/before": "prv_candidates.jd",
        "cjdc/now": "candidate.jd",
        "cmagpsfc/before": "prv_candidates.magpsf",
        "cmagpsfc/now": "candidate.magpsf",
        "cfidc/before": "prv_candidates.fid",
        "cfidc/now": "candidate.fid",
    }
    assert read["in_tns"] == {"tns_fullname": "context.tns_fullname"}
    stored = definitions[next(iter(definitions))]
    again = filter_of_text(f"{stored.name}.toml", stored.source or "")
    assert (again.arguments, again.version) == (stored.arguments, stored.version)


@pytest.mark.filterwarnings("ignore")  # of the package and of what it imports
def test_they_say_what_they_say_when_they_are_called_by_hand(
    package: Path, archive: RealArchive, judge: Judge, context: Context
) -> None:
    wanted = live_filters(package)
    if not ALL:
        wanted = [name for name in wanted if any(f".{each}." in name for each in IN_CI)]
        assert len(wanted) == len(IN_CI)
    files = [item for item in files_from(archive.storage, Position(), None) if item.rows]
    compared: dict[str, int] = {}
    lacking: dict[str, str] = {}
    for function in wanted:
        definition, name = definition_of(function), function.rpartition(".")[2]
        if name in LACKS_A_FILE:
            with pytest.raises(FilterError, match="it cannot be loaded"):
                judge.pool.load(definition)
            continue
        for item, verdicts in judged(judge, files, definition):
            if verdicts.reasons and not set(verdicts.codes) - {NOT_JUDGED}:
                lacking[name] = next(iter(verdicts.reasons))
            elif name not in WANTS_THE_NETWORK:
                expected = by_hand(archive, item, function, context)
                assert (verdicts.codes == PASSED).tolist() == expected, name
                assert not verdicts.reasons, name
                compared[name] = compared.get(name, 0) + sum(expected)
        judge.pool.drop(definition.name)
    assert {"blazar", "fast_riser_candidates", "in_simbad", "faint_trails"} <= set(compared)
    assert 0 < compared["blazar"] < ZTF_ALERTS
    assert lacking["unknowns"].startswith("needs ")
    assert SCORES & set(lacking["unknowns"].removeprefix("needs ").split(", "))


def judged(
    judge: Judge, files: list[LedgerFile], definition: FilterFile
) -> Iterator[tuple[LedgerFile, Verdicts]]:
    """Yield the files of a filter's survey, with what it says of their alerts."""
    for item in files:
        verdicts, _ = judge.judge(item, [definition])
        if definition.name in verdicts:
            yield item, verdicts[definition.name]
        fault = judge.state(definition.name).last_fault
        wants_it = definition.name in WANTS_THE_NETWORK
        assert fault == "" or (wants_it and "a filter may not use the network" in fault)


def by_hand(archive: RealArchive, item: LedgerFile, function: str, context: Context) -> list[bool]:
    """Call a function of the package as Fink's documentation does, on rows of the archive."""
    _, survey, *_ = function.split(".")
    module, _, name = function.rpartition(".")
    filter_ = getattr(importlib.import_module(module), name)
    assert item.file is not None
    with archive.storage.open(item.file.path) as source:
        rows = pq.read_table(source, partitioning=None).to_pylist()
    for row in rows:
        row |= {"added": context.of(row["kafka_offset"], row.get("diaSourceId"))}
    names = arguments_of(definition_of(function).arguments)
    call = getattr(filter_, "func", filter_)
    return [bool(each) for each in call(*(series(rows, survey, each) for each in names))]


def series(rows: list[dict[str, Any]], survey: str, name: str) -> Any:
    """Return an argument of a function of Fink, from rows of the archive."""
    nulls = {"cdsxmatch": "Unknown", "DR3Name": "nan", "tns": "", "roid": 0}
    if name in ADDED[survey]:
        values = [row["added"][name] for row in rows]
        found = [nulls.get(name) if value is None else value for value in values]
        return pd.Series(found, dtype=ADDED[survey][name].to_pandas_dtype())
    column = name[1:-1]
    if f"c{column}c" == name and name not in rows[0]:
        histories = (
            [*(each[column] for each in row["prv_candidates"] or ()), row["candidate"][column]]
            for row in rows
        )
        return pd.Series([np.array(history, dtype=float) for history in histories])
    if name in rows[0]:
        values = [row[name] for row in rows]
        is_record = isinstance(next(value for value in values if value is not None), dict)
        return pd.DataFrame([value or {} for value in values]) if is_record else pd.Series(values)
    record = "candidate" if survey == "ztf" else "diaObject"
    return pd.Series([(row[record] or {}).get(name) for row in rows])
