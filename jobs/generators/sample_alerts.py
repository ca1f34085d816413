"""Make the sample alerts of `finkray.testing`: `python -m jobs.generators.sample_alerts`.

The simulator makes them. They are committed, so that people can test their services without it; a
test makes them again and compares.
"""

import itertools
import sys
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

import finkray
from finkray.claim import Claim, TopicPartition
from finkray.packets.batch import make_batch
from finkray.packets.decoder import make_decoder
from finkray.packets.message import RawMessage
from finkray.settings.packets import PacketSettings
from finkray.storage.parquet import write_table
from sim.ztf.alerts import ZtfMaker

PAGE: Final = Path(finkray.__file__).parent / "sample_alerts.parquet"
ROWS: Final = 120
FIELDS: Final = range(500, 510)
"""Few fields are visited often, so that later alerts have a history."""

WITH_CUTOUTS: Final = 4
"""Images are three quarters of an alert; a few will do."""

_SOURCE = TopicPartition("simulator", "ztf_20261124_programid1", "simulated", 0)
_BEGINS_MS = 1_795_482_000_000
"""2026-11-24T01:00 UTC."""


def sample_alerts() -> pa.Table:
    """Alerts as the archive keeps them, of several visits."""
    maker = ZtfMaker(seed=6, alerts_per_visit=12, fields=FIELDS)
    packets = [alert.packet for alert in itertools.islice(maker.alerts(), ROWS)]
    messages = [
        RawMessage(offset, _BEGINS_MS + 1000 * offset, packet)
        for offset, packet in enumerate(packets)
    ]
    decoder = make_decoder(PacketSettings(), 2**23, {})
    batch = make_batch(Claim(_SOURCE, 0, len(messages) - 1), messages, [], decoder)
    ((_, table),) = batch.tables
    return _with_few_cutouts(table)


def _with_few_cutouts(table: pa.Table) -> pa.Table:
    for name in table.column_names:
        if name.startswith("cutout"):
            keep = pa.array([row < WITH_CUTOUTS for row in range(len(table))])
            data_type = table.schema.field(name).type
            few = pc.if_else(keep, table[name].combine_chunks(), pa.scalar(None, data_type))
            table = table.set_column(table.schema.get_field_index(name), name, few)
    return table


def main() -> int:
    """Write the file."""
    with PAGE.open("wb") as out:
        write_table(sample_alerts(), out)
    sys.stdout.write(f"wrote {PAGE}: {PAGE.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
