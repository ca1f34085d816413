"""A program that ends right after a read waits until Arrow's threads have let go of the file."""

import subprocess
import sys

from finkray.storage.ranged_file import GRACE_S

READ_AND_END = """
import atexit, io, time

@atexit.register  # before that of the file, so it runs after it
def tell():
    print(time.monotonic() - read_s)

import pyarrow as pa, pyarrow.parquet as pq
from finkray.storage.ranged_file import ranged_file

out = io.BytesIO()
pq.write_table(pa.table({"x": range(1000)}), out)
data = out.getvalue()
table = pq.read_table(ranged_file(len(data), b"", lambda start, end: data[start:end]))
read_s = time.monotonic()
assert table["x"].to_pylist() == list(range(1000))
"""


def test_a_program_does_not_end_within_a_moment_of_its_last_read() -> None:
    command = [sys.executable, "-c", READ_AND_END]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert float(done.stdout) > GRACE_S / 2
