"""Judge alerts with one filter, in a process of its own.

The process has one connection, a socket to the driver. Its environment has no secrets of finkray,
and it may open no connection to a network. A filter may hang, leak memory or end the process: the
driver goes on.

Each message is JSON; an Arrow stream follows `judge`, and packed bits follow its reply. What the
driver sends, and what the process replies:

    {"do": "load", "filter": …}              -> {"ok": true}
    {"do": "judge", "limit_s": …}, a table   -> {"ok": true, "errors": […]}, packed bits: which rows
                                                passed, and which have an answer
    either of them                           -> {"ok": false, "fault": …, "detail": …}

If the filter raises, gives a wrong answer or takes too long for a batch, the batch is halved again
and again, until each alert that causes the failure is alone. A signal sets the time limit, and ends
Python code. If code of a library never returns, the driver ends the process.
"""

import inspect
import json
import math
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, Final

import numpy as np
import pyarrow as pa

from finkray.serving.child import DETAIL_CHARS, AnswerRefused, answer_each
from finkray.streamout.filter_file import ColumnType
from finkray.streamout.fink_child import fink_judge
from finkray.streamout.watch_list import judge_of_list
from finkray.text import error_text

SHORTEST_S: Final = 0.1
"""Shortest time limit of a batch or a part of it, down to a single alert: a garbage collection must
not count as a hanging filter."""

_OUTPUT: Final = pa.schema([("passed", pa.bool_())])

_REFUSED_EVENTS: Final = frozenset(
    {
        *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"),
        *("socket.getaddrinfo", "socket.gethostbyname"),
        *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"),
    }
)
"""Audit events that Python raises before a connection, a name look-up or another program begins.
Refusing them keeps a filter from sending messages by accident, as seven live ones of fink-filters
do when they find a token. It is no security boundary: code in C can do without Python."""


def refuse_network() -> None:
    """Let every connection to a network, and every new program, fail from now on."""

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if event in _REFUSED_EVENTS:
            raise PermissionError(f"a filter may not use the network or start programs ({event})")

    sys.addaudithook(refuse)


class FilterChild:
    """Loads a filter and judges batches until the driver closes the connection.

    Parameters
    ----------
    connection
        to the driver
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._judge: Callable[[pa.Table], Any] | None = None

    def run(self) -> None:
        """Reply to each message."""
        while True:
            try:
                order = json.loads(self._connection.recv_bytes())
                if order["do"] == "load":
                    self._load(order["filter"])
                else:
                    stream = self._connection.recv_bytes()
                    self._reply_verdicts(stream, order["limit_s"])
            except (EOFError, ConnectionResetError, BrokenPipeError):
                return

    def _load(self, raw: Mapping[str, Any]) -> None:
        try:
            self._judge = judge_of(raw)
        except Exception as error:  # noqa: BLE001 - the code of a filter may raise anything
            traceback.print_exc()
            self._reply_fault("raised", f"it cannot be loaded: {error_text(error)}")
        else:
            self._reply({"ok": True})

    def _reply_verdicts(self, stream: bytes, limit_s: float) -> None:
        judge = self._judge
        assert judge is not None  # noqa: S101 - the driver loads it first
        with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
            alerts = reader.read_all()
        process = limited(judge, limit_s, alerts.num_rows)
        try:
            answered = answer_each(process, alerts, _OUTPUT)
        except AnswerRefused as error:
            self._reply_fault(error.fault, error.detail)
            return
        passed = answered.table["passed"].combine_chunks()
        valid = ~np.asarray(passed.is_null().to_numpy(zero_copy_only=False))
        bits = passed.fill_null(False).to_numpy(zero_copy_only=False)  # noqa: FBT003
        errors = [
            [row, refused.fault, refused.detail[:DETAIL_CHARS]]
            for row, refused in sorted(answered.refused.items())
        ]
        self._reply({"ok": True, "errors": errors, "rows": len(passed)})
        self._connection.send_bytes(np.packbits(bits).tobytes() + np.packbits(valid).tobytes())

    def _reply_fault(self, fault: str, detail: str) -> None:
        self._reply({"ok": False, "fault": fault, "detail": detail[:DETAIL_CHARS]})

    def _reply(self, message: Mapping[str, Any]) -> None:
        self._connection.send_bytes(json.dumps(message).encode())


class _TookTooLong(BaseException):
    """Raised by the timer; no `except Exception` of a filter stops it."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def end(*_: object) -> None:
        raise _TookTooLong

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def limited(
    judge: Callable[[pa.Table], Any], limit_s: float, rows: int
) -> Callable[[pa.Table], pa.Table]:
    """Return a function that judges some of `rows` alerts within their share of the time.

    It raises `AnswerRefused` if the filter raises, takes too long, or its answer is no booleans.
    """

    def process(alerts: pa.Table) -> pa.Table:
        share_s = max(SHORTEST_S, limit_s * alerts.num_rows / max(1, rows))
        try:
            with _time_limit(share_s):
                answer = judge(alerts)
            return pa.table({"passed": booleans(answer, alerts.num_rows)})
        except _TookTooLong as error:
            detail = f"no answer for {alerts.num_rows} alerts within {share_s:.1f} s"
            raise AnswerRefused("time", detail, TimeoutError(detail)) from error
        except AnswerRefused:
            raise
        except MemoryError as error:
            raise AnswerRefused("memory", error_text(error), error) from error
        except Exception as error:
            raise AnswerRefused("raised", error_text(error), error) from error

    return process


def judge_of(raw: Mapping[str, Any]) -> Callable[[pa.Table], Any]:
    """Return a function that calls a filter with the columns of a table.

    Parameters
    ----------
    raw
        fields of `finkray.streamout.filter_file.FilterFile`
    """
    name, text = raw["name"], raw["text"]
    if raw["language"] == "python":
        # Under its own name a filter in `random.py` would replace a library's module.
        module = ModuleType(f"filter_{name}")
        module.__file__ = f"{name}.py"
        sys.modules[module.__name__] = module
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - what it is for
        call = getattr(module, raw["function"])
        convert = _CONVERTERS[raw["columns_as"]]
        by_name = _keywords(call)
        arguments = [each for each in raw["arguments"] if each not in by_name]
        keywords = [each for each in raw["arguments"] if each in by_name]
        return lambda alerts: call(
            *(convert(alerts[each]) for each in arguments),
            **{each: convert(alerts[each]) for each in keywords},
        )
    if raw["language"] == "fink":
        return fink_judge(raw["function"], list(raw["arguments"]))
    if raw["language"] in ("objects", "positions", "area"):
        return judge_of_list(raw["language"], name, text)
    import polars as pl

    expression = (
        pl.sql_expr(text) if raw["language"] == "sql" else eval(text, {"pl": pl})  # noqa: S307 - the same
    )
    return lambda alerts: pl.DataFrame(alerts).select(passed=expression)["passed"]


def booleans(answer: Any, rows: int) -> pa.Array:
    """Return an answer as booleans, null where it is null.

    Raises
    ------
    AnswerRefused
        if its length is not `rows`, or its values are not booleans. Numbers are refused too,
        because NaN would pass
    """
    dtype = getattr(answer, "dtype", None)
    library = type(answer).__module__.partition(".")[0]
    if library == "polars" and hasattr(answer, "to_arrow"):  # an expression has none
        answer = answer.to_arrow()
    elif library == "pandas" and hasattr(answer, "sort_index") and hasattr(answer, "to_numpy"):
        answer = _in_order(answer, rows).to_numpy()
    elif hasattr(answer, "to_numpy") and not isinstance(answer, pa.Array | pa.ChunkedArray):
        answer = answer.to_numpy()
    if isinstance(answer, np.ndarray) and answer.dtype == object:
        answer = [_plain(value) for value in answer]
    try:
        if isinstance(answer, pa.ChunkedArray):
            answer = answer.combine_chunks()
        array = answer if isinstance(answer, pa.Array) else pa.array(answer)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _refused(f"it returned {type(answer).__name__}, not booleans: {error}") from error
    if pa.types.is_null(array.type):
        array = array.cast(pa.bool_())
    if not pa.types.is_boolean(array.type):
        raise _refused(f"it returned {dtype or array.type}, not booleans")
    if len(array) != rows:
        raise _refused(f"it returned {len(array)} booleans for {rows} alerts")
    return array


def _in_order(answer: Any, rows: int) -> Any:
    """Return an answer of pandas in the order of the alerts, which a filter may have sorted.

    Its index is of integers where it comes from the arguments. Any other is the filter's own.

    Raises
    ------
    AnswerRefused
        if the index names an alert twice
    """
    from pandas.api.types import is_integer_dtype

    if len(answer) != rows or not is_integer_dtype(answer.index.dtype):
        return answer
    numbers = answer.index.to_numpy()
    if np.array_equal(numbers, np.arange(rows)):
        return answer
    if np.array_equal(np.sort(numbers), np.arange(rows)):
        return answer.sort_index()
    raise _refused(
        "the index of its answer is not that of its arguments: return a Series with their index"
    )


def _keywords(call: Callable[..., Any]) -> frozenset[str]:
    """Return the arguments that a function takes by name alone."""
    parameters = inspect.signature(call).parameters.values()
    return frozenset(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)


def _plain(value: Any) -> Any:
    if isinstance(value, np.bool_):
        return bool(value)
    is_missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if is_missing or type(value).__name__ in ("NAType", "NaTType") else value


def _refused(detail: str) -> AnswerRefused:
    return AnswerRefused("contract", detail, TypeError(detail))


def _numpy(column: pa.ChunkedArray) -> Any:
    return column.combine_chunks().to_numpy(zero_copy_only=False)


def _pandas(column: pa.ChunkedArray) -> Any:
    if pa.types.is_struct(column.type):
        import pandas as pd

        return pd.DataFrame(column.to_pylist())
    series = column.to_pandas()
    # pandas 3 has a type of its own for text, in which null is NaN: filters test for None.
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return series.astype(object).where(series.notna(), None) if text else series


def _pyarrow(column: pa.ChunkedArray) -> Any:
    return column.combine_chunks()


def _polars(column: pa.ChunkedArray) -> Any:
    import polars as pl

    return pl.from_arrow(column)


_CONVERTERS: Final[Mapping[ColumnType, Callable[[pa.ChunkedArray], Any]]] = {
    "numpy": _numpy,
    "pandas": _pandas,
    "pyarrow": _pyarrow,
    "polars": _polars,
}
