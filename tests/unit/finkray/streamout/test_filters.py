"""Filters in their processes: what they answer, and how each misbehaviour is contained."""

import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psutil
import pyarrow as pa
import pytest

from finkray.errors import FilterError
from finkray.streamout.filter_file import FilterFile, filter_of_text
from finkray.streamout.filter_process import FilterLimits, FilterPool, Unjudged
from finkray.streamout.verdict import NOT_JUDGED, NOT_PASSED, PASSED, Verdicts
from tests.support.filters import BRIGHT, python

MAGS = [16.0, 18.0, 15.5, 20.0]
ROWS = 64


@pytest.fixture(scope="module")
def pool() -> Iterator[FilterPool]:
    os.environ["FINKRAY__KAFKA__SASL_PASSWORD"] = "a secret"
    limits = FilterLimits(batch_s=0.5, memory_bytes=150 * 2**20, load_s=20, nice=5)
    try:
        with FilterPool(limits) as made:
            yield made
    finally:
        del os.environ["FINKRAY__KAFKA__SASL_PASSWORD"]


def judged(pool: FilterPool, definition: FilterFile, table: pa.Table) -> Verdicts | Unjudged:
    pool.load(definition)
    return pool.judge({definition.name: table})[definition.name]


def verdicts(pool: FilterPool, definition: FilterFile, table: pa.Table) -> Verdicts:
    said = judged(pool, definition, table)
    assert isinstance(said, Verdicts), said
    return said


ALIKE = {
    "numpy": python("return magpsf < 17"),
    "pandas": python("return magpsf < 17", head='COLUMNS_AS = "pandas"'),
    "pyarrow": python(
        "return pc.less(magpsf, 17)",
        head='import pyarrow.compute as pc\nCOLUMNS_AS = "pyarrow"',
    ),
    "polars": python("return magpsf < 17", head='COLUMNS_AS = "polars"'),
    "sql": filter_of_text("odd.toml", 'sql = "magpsf < 17"'),
    "polars expression": filter_of_text("odd.toml", "polars = 'pl.col(\"magpsf\") < 17'"),
}


@pytest.mark.parametrize("form", ALIKE)
def test_each_form_of_a_filter_says_the_same(pool: FilterPool, form: str) -> None:
    said = verdicts(pool, ALIKE[form], pa.table({"magpsf": MAGS}))
    assert said.codes.tolist() == [PASSED, NOT_PASSED, PASSED, NOT_PASSED]
    assert said.reasons == {}


def test_a_null_answer_is_not_judged_and_never_false(pool: FilterPool) -> None:
    table = pa.table({"magpsf": [16.0, None, 18.0]})
    for definition in (
        filter_of_text("odd.toml", 'sql = "magpsf < 17"'),
        python("return pc.less(magpsf, 17)", head=(
            'import pyarrow.compute as pc\nCOLUMNS_AS = "pyarrow"')),
        python("return np.array([True, np.nan, False], dtype=object)", head="import numpy as np"),
    ):  # fmt: skip
        said = verdicts(pool, definition, table)
        assert said.codes.tolist() == [PASSED, NOT_JUDGED, NOT_PASSED]
        assert said.reasons == {"null: its answer is null": [1]}


BAD_ANSWERS = {
    "another length": ("return (magpsf < 17)[:-1]", "contract: it returned 63 booleans for 64"),
    "numbers": ("return magpsf * 1.0", "contract: it returned float64, not booleans"),
    "NaN": ("return np.where(magpsf < 17, np.nan, 1.0)", "contract: it returned float64, not bool"),
    "nothing": ("pass", "contract: it returned NoneType, not booleans"),
    "an exception": ("raise KeyError('x')", "raised: KeyError: 'x'"),
    "a connection": (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "raised: PermissionError: a filter may not use the network",
    ),
    "a program": ("import subprocess; subprocess.run(['id'])", "raised: PermissionError: a filter"),
    "its end": ("import os; os._exit(3)", "died: its process ended"),
    "too much memory": (
        "x = b'x' * (250 * 2**20); import time; time.sleep(3)",
        "memory: it took",
    ),
    "a loop": ("while True: pass", "time: no answer"),
    "an expression": (
        "import polars; return polars.col('magpsf') < 17",
        "contract: it returned Expr, not booleans",
    ),
    "an exception without a text": (
        "raise type('Silent', (Exception,), {'__str__': lambda _: 1 / 0})()",
        "raised: Silent, which has no text",
    ),
    "another index": (
        "import pandas; return pandas.Series(magpsf < 17, index=np.full(len(magpsf), 7))",
        "contract: the index of its answer is not that of its arguments",
    ),
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
def test_a_filter_that_misbehaves_is_contained_with_the_reason(pool: FilterPool, what: str) -> None:
    body, message = BAD_ANSWERS[what]
    odd = python(body, head="import numpy as np")
    good = filter_of_text("bright.py", BRIGHT)
    table = pa.table({"magpsf": np.linspace(15, 20, ROWS)})
    for definition in (odd, good):
        pool.load(definition)
    said = pool.judge({"odd": table, "bright": table})
    assert isinstance(said["odd"], Unjudged)
    assert message in str(said["odd"])
    beside = said["bright"]
    assert isinstance(beside, Verdicts)
    assert beside.count(PASSED) == np.count_nonzero(np.linspace(15, 20, ROWS) < 17)


def test_a_filter_process_that_takes_no_batch_holds_up_no_other(pool: FilterPool) -> None:
    odd, good = python("return magpsf < 17"), filter_of_text("bright.py", BRIGHT)
    pool.load(good)
    stopped = psutil.Process(pool.load(odd).pid)
    stopped.suspend()
    # More than the kernel keeps for a process that does not read.
    many = pa.table({"magpsf": np.linspace(15, 20, 200_000)})
    said = pool.judge({"odd": many, "bright": many})
    assert str(said["odd"]) == "time: no answer within 3 s"
    assert isinstance(said["bright"], Verdicts)
    _, alive = psutil.wait_procs([stopped], timeout=20)  # its fork server takes note of its end
    assert not alive
    assert verdicts(pool, odd, pa.table({"magpsf": MAGS})).count(PASSED) == 2


def test_a_process_that_got_the_id_of_an_ended_filter_is_not_killed(pool: FilterPool) -> None:
    filter_process = pool.load(python("return magpsf < 17", name="ended"))
    other = psutil.Process(filter_process.pid)
    other.suspend()  # it would end with the connection to it
    # As when the filter's process ended, and another one of this id was started.
    filter_process._identity = replace(filter_process._identity, started="1")
    pool.drop("ended")
    assert other.is_running()
    other.kill()


def test_an_answer_of_pandas_that_was_sorted_is_that_of_each_alert(pool: FilterPool) -> None:
    for body in ("return (magpsf < 17).sort_values()", "return (magpsf < 17)[::-1]"):
        said = verdicts(
            pool, python(body, head='COLUMNS_AS = "pandas"'), pa.table({"magpsf": MAGS})
        )
        assert said.codes.tolist() == [PASSED, NOT_PASSED, PASSED, NOT_PASSED]
    # An index that is not of the arguments says nothing of the order.
    body = "return pandas.Series((magpsf < 17).to_numpy(), index=['d', 'c', 'b', 'a'])"
    named = python(body, head='import pandas\nCOLUMNS_AS = "pandas"')
    said = verdicts(pool, named, pa.table({"magpsf": MAGS}))
    assert said.codes.tolist() == [PASSED, NOT_PASSED, PASSED, NOT_PASSED]


def test_arguments_may_be_taken_by_name_alone(pool: FilterPool) -> None:
    odd = python("return magpsf < limit", arguments="magpsf, *, limit")
    said = verdicts(pool, odd, pa.table({"magpsf": MAGS, "limit": [17.0] * len(MAGS)}))
    assert said.codes.tolist() == [PASSED, NOT_PASSED, PASSED, NOT_PASSED]


def test_a_filter_called_as_a_library_replaces_none(pool: FilterPool) -> None:
    body = "import random; return np.full(len(magpsf), hasattr(random, 'gauss'))"
    said = verdicts(
        pool, python(body, head="import numpy as np", name="random"), pa.table({"magpsf": MAGS})
    )
    assert said.count(PASSED) == len(MAGS)


def test_what_a_filter_prints_is_in_the_log_under_its_name(
    pool: FilterPool, caplog: pytest.LogCaptureFixture
) -> None:
    odd = python("print('\\x1b[2J', len(magpsf), flush=True); import os; os._exit(0)")
    assert isinstance(judged(pool, odd, pa.table({"magpsf": MAGS})), Unjudged)
    assert r"filter odd printed: \x1b[2J 4" in caplog.messages


def test_the_alerts_that_hurt_a_filter_are_named_and_the_others_judged(pool: FilterPool) -> None:
    """One alert raises, another one hangs in Python."""
    odd = python(
        "\n    ".join(
            [
                "if (magpsf == 3).any(): raise ValueError('three')",
                "while (magpsf == 40).any(): pass",
                "return magpsf < 17",
            ]
        )
    )
    said = verdicts(pool, odd, pa.table({"magpsf": np.arange(float(ROWS))}))
    assert said.count(NOT_JUDGED) == 2
    assert said.count(PASSED) == 16
    assert {reason.partition(":")[0]: rows for reason, rows in said.reasons.items()} == {
        "raised": [3],
        "time": [40],
    }


def test_a_filter_gets_no_secret_of_the_broker(pool: FilterPool) -> None:
    odd = python(
        "return np.full(len(magpsf), any('SASL' in name for name in os.environ))",
        head="import os\nimport numpy as np",
    )
    assert verdicts(pool, odd, pa.table({"magpsf": MAGS})).count(PASSED) == 0


def test_a_hundred_filters_take_little_memory_and_a_changed_one_is_loaded_anew(
    pool: FilterPool,
) -> None:
    table = pa.table({"magpsf": MAGS})
    first = verdicts(pool, filter_of_text("bright.py", BRIGHT), table)
    changed = verdicts(pool, filter_of_text("bright.py", BRIGHT.replace("17", "30")), table)
    assert (first.count(PASSED), changed.count(PASSED)) == (2, 4)
    assert pool.memory_bytes()["bright"] < 400 * 2**20


def test_a_watch_list_of_objects_passes_those(pool: FilterPool) -> None:
    ztf = filter_of_text("mine.csv", "\ufeffobjectId,note\nZTF18a,x\nZTF18c,\n")
    lsst = filter_of_text("theirs.csv", "object_id\n170028477161898009\n")
    assert dict(ztf.arguments) == {"object_id": "objectId"}
    assert dict(lsst.arguments) == {"object_id": "diaObjectId"}
    said = verdicts(pool, ztf, pa.table({"object_id": ["ZTF18a", "ZTF18b", None]}))
    assert said.codes.tolist() == [PASSED, NOT_PASSED, NOT_PASSED]
    # A float would not tell these two apart.
    ids = pa.array([170028477161898009, 170028477161898010, None])
    said = verdicts(pool, lsst, pa.table({"object_id": ids}))
    assert said.codes.tolist() == [PASSED, NOT_PASSED, NOT_PASSED]


def test_a_watch_list_of_positions_or_an_area_passes_what_is_inside(pool: FilterPool) -> None:
    near = filter_of_text("near.csv", "ra,dec,radius_arcsec\n0.0001,10,2\n180,-90,5\n")
    arcsec = 1 / 3600
    sky = pa.table(
        {
            "ra": [359.9999, 0.0001, 0.0001, 33.0, None],
            "dec": [10.0, 10 + 1.9 * arcsec, 10 + 2.1 * arcsec, -90 + 4.9 * arcsec, 10.0],
        }
    )
    said = verdicts(pool, near, sky)
    assert said.codes.tolist() == [PASSED, PASSED, NOT_PASSED, PASSED, NOT_JUDGED]
    area = filter_of_text("area.moc", "0/4")  # around ra 0, dec 0
    said = verdicts(pool, area, pa.table({"ra": [0.0, 180.0], "dec": [0.0, 0.0]}))
    assert said.codes.tolist() == [PASSED, NOT_PASSED]


def test_a_filter_that_cannot_be_loaded_says_why(pool: FilterPool) -> None:
    for text, message in (
        ("import no_such_module\n" + BRIGHT, "ModuleNotFoundError: No module named 'no_such"),
        ("import os\nos._exit(1)\n" + BRIGHT, "its process ended while it was loaded"),
    ):
        with pytest.raises(FilterError, match=f"filter bright: .*{message}"):
            pool.load(filter_of_text("bright.py", text))
