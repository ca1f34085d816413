"""Services that misbehave in every way while a file is there, and then at one alert alone."""

MODULE = '''
import ctypes
import os
import time
from pathlib import Path

import finkray
import pyarrow as pa
import pyarrow.compute as pc

PLACE = Path(__file__).parent


def stuck():
    return (PLACE / "stuck").exists()


class Good(finkray.Service):
    """Twice the offset."""

    columns = ["kafka_offset"]
    output = pa.schema([("double", pa.int64())])
    version = "1"

    def setup(self):
        with (PLACE / f"{type(self).__name__.lower()}.pids").open("a") as file:
            file.write(f"{os.getpid()}\\n")

    def process(self, alerts):
        for offset in alerts["kafka_offset"].to_pylist():
            self.meet(offset)
        return pa.table({"double": pc.multiply(alerts["kafka_offset"], 2)})

    def meet(self, offset):
        pass


class Slow(Good):
    def meet(self, offset):
        while stuck():
            (PLACE / "slow.busy").write_text(str(os.getpid()))
            time.sleep(0.05)


class Throwing(Good):
    def meet(self, offset):
        if stuck() or offset % 50 == 7:
            raise ConnectionError(f"no catalogue for {offset}")


class Hanging(Good):
    def meet(self, offset):
        while stuck() or offset == 13:
            # In C, and it keeps the interpreter: no other thread of the process runs any more.
            ctypes.PyDLL(None).pause()


class Leaking(Good):
    def meet(self, offset):
        kept = []
        while stuck() or offset == 13:
            kept.append(bytearray(b"x") * 2**24)
            time.sleep(0.01)
'''

SETTINGS = {
    "Good": {},
    "Slow": {"BATCH_S": "600"},
    "Throwing": {},
    "Hanging": {"BATCH_S": "4", "BATCH_ROWS": "4"},
    "Leaking": {"MEMORY_BYTES": "300 MiB", "BATCH_ROWS": "4"},
}
"""Of each service in the module, beside those of all."""
