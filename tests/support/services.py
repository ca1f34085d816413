"""Services that behave and misbehave in every way, depending on the offset of an alert."""

import json
import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.compute as pc

import finkray

DOUBLE = pa.schema([("double", pa.int64())])


class Double(finkray.Service):
    """Compute twice the offset."""

    columns = ("kafka_offset",)
    output = DOUBLE
    version = "1"

    def process(self, alerts: pa.Table) -> pa.Table:
        for offset in alerts["kafka_offset"].to_pylist():
            self.meet(offset)
        return pa.table({"double": pc.multiply(alerts["kafka_offset"], 2)})

    def meet(self, offset: int) -> None:
        """Misbehave at an offset; this class does not."""


class Throwing(Double):
    """Raises on each alert whose offset ends in 7."""

    def meet(self, offset: int) -> None:
        if offset % 10 == 7:
            raise ValueError(f"cannot stand {offset}")


class _Silent(Exception):
    """An exception whose text raises."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class ThrowingSilently(Double):
    """Raises an exception without a text on each alert whose offset ends in 7."""

    def meet(self, offset: int) -> None:
        if offset % 10 == 7:
            raise _Silent


class Hanging(Double):
    """Never returns from offset 13."""

    def meet(self, offset: int) -> None:
        while offset == 13:
            time.sleep(1)


class EndingProcess(Double):
    """Ends its process at offset 13."""

    def meet(self, offset: int) -> None:
        if offset == 13:
            os._exit(3)


class Leaking(Double):
    """Takes 40 MB more with each batch and keeps it."""

    def setup(self) -> None:
        self.kept: list[bytearray] = []

    def process(self, alerts: pa.Table) -> pa.Table:
        self.kept.append(bytearray(b"x") * 40_000_000)
        return super().process(alerts)


class MemoryTakingChild(Double):
    """Starts a process at offset 13 that takes all the memory it can get."""

    def meet(self, offset: int) -> None:
        if offset == 13:
            code = "a = []\nwhile True: a.append(bytearray(b'x') * 2**22)"
            subprocess.run([sys.executable, "-c", code], check=True)


class Forking(Double):
    """Has a large model, and three processes which share it."""

    def setup(self) -> None:
        self.model = bytearray(b"x") * 150_000_000
        self.kin = [os.fork() for _ in range(3)]
        if 0 in self.kin:
            time.sleep(600)
            os._exit(0)

    def process(self, alerts: pa.Table) -> pa.Table:
        time.sleep(1.5)  # they are looked for once a second
        return super().process(alerts)


class Broken(Double):
    """Fails on every alert while a file exists."""

    def meet(self, offset: int) -> None:  # noqa: ARG002
        if os.path.exists(os.environ["BROKEN_WHILE"]):  # noqa: PTH110
            raise ConnectionError("the catalogue does not answer")


class NotStarting(Double):
    """Cannot be set up."""

    def setup(self) -> None:
        raise FileNotFoundError("no model at /nowhere")


class SecretSearch(finkray.Service):
    """Looks for secrets wherever a process can."""

    columns = ("kafka_offset",)
    output = pa.schema([("found", pa.string())])
    version = "1"

    def process(self, alerts: pa.Table) -> pa.Table:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
            initial = file.read().decode().replace("\0", " ")
        found = f"{dict(os.environ)} {initial}"
        return pa.table({"found": [found] * len(alerts)})


class Asking(SecretSearch):
    """Shows its settings too, and those that are shared with it."""

    name = "asking"
    shares = ("catalogs",)

    def setup(self) -> None:
        self.given = json.dumps([dict(self.settings), dict(self.shared)])

    def process(self, alerts: pa.Table) -> pa.Table:
        found = super().process(alerts)["found"].to_pylist()
        return pa.table({"found": [f"{self.given} {text}" for text in found]})


class MissingColumn(finkray.Service):
    """Reads a column that no alert of the test has."""

    columns = ("diaSource.psfFlux",)
    output = pa.schema([("flux", pa.float64())])
    version = "1"

    def process(self, alerts: pa.Table) -> pa.Table:
        return pa.table({"flux": alerts["diaSource.psfFlux"]})


class Sum(finkray.Service):
    """The offset and what `double` says of it."""

    columns = ("kafka_offset", "double.double")
    output = pa.schema([("sum", pa.int64())])
    needs = ("double",)
    version = "1"

    def process(self, alerts: pa.Table) -> pa.Table:
        doubled = alerts["double.double"].cast(pa.int64())
        return pa.table({"sum": pc.add(alerts["kafka_offset"], doubled)})
