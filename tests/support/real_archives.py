"""An archive of real alerts of both surveys, written as Spark tasks write it."""

import re
import tarfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from finkray.claim import Claim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import make_batch
from finkray.packets.decoder import make_decoder
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.settings.packets import PacketSettings
from finkray.storage.local import LocalStorage
from tests.support.packets import real_ztf_packets
from tests.support.small_archives import NIGHT

ZTF_ALERTS, LSST_ALERTS = 205, 3


class RealArchive:
    """An archive of given packets; each topic has one partition that begins at offset 0."""

    def __init__(self, folder: Path, test_data: Path) -> None:
        self.storage = LocalStorage(folder)
        self.test_data = test_data
        self._ledger = Ledger.take_over(self.storage)
        schemas = str(test_data / "schemas" / "lsst")
        self._decoder = make_decoder(PacketSettings(schema_folder=schemas), 8 * 2**20, {})
        self._ends: dict[str, int] = {}
        self._attempts = 0

    def put(self, topic: str, packets: Sequence[bytes], first_time: datetime = NIGHT) -> None:
        """Archive packets as one claim; their Kafka timestamps are 1 s apart."""
        first = self._ends.get(topic, 0)
        source = TopicPartition("cluster", topic, f"id-of-{topic}", 0)
        messages = [
            RawMessage(
                first + n, int((first_time + timedelta(seconds=n)).timestamp() * 1000), packet
            )
            for n, packet in enumerate(packets)
        ]
        self._ends[topic] = first + len(packets)
        batch = make_batch(
            Claim(source, first, first + len(packets) - 1), messages, (), self._decoder
        )
        assert batch.dead_letters.num_rows == 0
        self._attempts += 1
        staged = write_claim(batch, self.storage, self._ledger.staging, str(self._attempts))
        commit(self._ledger, self.storage, [staged])


def real_archive(folder: Path, test_data: Path) -> RealArchive:
    """Archive `ZTF_ALERTS` of June 2018, 13 of stars in the GCVS, and `LSST_ALERTS` frames."""
    archive = RealArchive(folder, test_data)
    archive.put("ztf", list(real_ztf_packets(test_data, "20180626_skyportal_205")))
    with tarfile.open(test_data / "lsst" / "lsst_confluent_wire_boom_3.tar.xz") as tar:
        contents = [tar.extractfile(member) for member in tar]
        archive.put("lsst", [content.read() for content in contents if content])
    return archive


def write_gcvs(folder: Path, test_data: Path) -> None:
    """Write the GCVS and the description of docs/catalogs.md to a folder."""
    page = (Path(__file__).parents[2] / "docs" / "catalogs.md").read_text()
    description = re.search(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert description is not None
    (folder / "gcvs.toml").write_text(description[1])
    (folder / "gcvs.parquet").write_bytes((test_data / "catalogs" / "gcvs.parquet").read_bytes())
