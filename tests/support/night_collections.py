"""Two nights of the same objects, and what the collections that are built of them have."""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow.parquet as pq

from tests.support.night_archives import JD, NIGHT, Made, measurement

NEXT: Final = NIGHT + timedelta(days=1)


def a_night_later(sky: list[Made], night: date = NEXT) -> list[Made]:
    """Return alerts of the same objects in a later night, with those before as history."""
    days = (night - NIGHT).days
    return [
        Made(
            one.object_id,
            dict(one.candidate) | {"jd": JD + days, "candid": 5_000_000 * days + n, "pid": n},
            (*one.history, measurement(one.candidate["candid"], 1.0, 1.0)),
            night,
        )
        for n, one in enumerate(sky)
    ]


def rows_of(uri: str, catalog: str, generation: int | None = None) -> pl.DataFrame:
    """Return the rows of a catalogue of a collection; without a generation, of the newest."""
    leaves = sorted(Path(uri).glob(f"g*/{catalog}/dataset/**/Npix*.parquet"))
    newest = generation or max(int(leaf.relative_to(uri).parts[0][1:]) for leaf in leaves)
    tables = [
        pq.read_table(leaf, partitioning=None) for leaf in leaves if f"/g{newest}/" in str(leaf)
    ]
    return pl.concat(map(pl.DataFrame, tables))


def coordinates(uri: str, generation: int | None = None) -> list[tuple[str, int, int]]:
    """Return topic, partition and offset of the alerts of a collection."""
    names = ["kafka_topic", "kafka_partition", "kafka_offset"]
    return sorted(rows_of(uri, "alerts", generation).select(names).rows())
