"""`PYTHON bench/hats_import_peer.py HOURLY OUT`: import an archive's files with hats-import.

For a Python that has hats-import (BSD; `pip install hats-import`), and needs nothing else; see
`bench.hats_night --peer`. hats-import takes no nested columns, so the fields of `candidate` are
written as columns of their own first, which is not measured; histories are left out, and no light
curves, objects or margins are made. Prints the cost as JSON.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 100_000


def main(hourly: Path, out: Path) -> int:
    """Flatten, import, and print what the import cost."""
    flat = out / "flat"
    flat.mkdir(parents=True)
    batches = pads.dataset(hourly).to_batches(columns=["objectId", "candid", "candidate"])
    for number, batch in enumerate(batches):
        candidate = batch["candidate"]
        columns = {"objectId": batch["objectId"], "alert": batch["candid"]}
        columns |= {field.name: candidate.field(n) for n, field in enumerate(candidate.type)}
        pq.write_table(pa.table(columns), flat / f"{number:06d}.parquet")

    arguments = importlib.import_module("hats_import.catalog.arguments")
    pipeline = importlib.import_module("hats_import.pipeline")
    client = importlib.import_module("dask.distributed").Client
    begun_s, begun_cpu_s = time.perf_counter(), _cpu_s()
    with client(n_workers=1, threads_per_worker=1, dashboard_address=":0") as dask:
        pipeline.pipeline_with_client(
            arguments.ImportArguments(
                output_artifact_name="alerts",
                input_path=flat,
                file_reader="parquet",
                ra_column="ra",
                dec_column="dec",
                output_path=str(out),
                progress_bar=False,
            ),
            dask,
        )
    print(
        json.dumps(
            {
                "cpu_s": _cpu_s() - begun_cpu_s,
                "wall_s": time.perf_counter() - begun_s,
                "peak_rss_bytes": 1024
                * max(
                    resource.getrusage(who).ru_maxrss
                    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
                ),
            }
        )
    )
    return 0


def _cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
