"""The check reads an archive's own files and ledger, of the play's own topic alone."""

from collections.abc import Iterable
from pathlib import Path

from finkray.claim import TopicPartition
from finkray.dead_letter_reason import DeadLetterReason
from finkray.settings.simulator import SimulatorSettings
from finkray.storage.local import LocalStorage
from sim.check.archive import check
from sim.check.compare import MISSING, WRONGLY_DEAD
from sim.player.manifest import ManifestWriter, PlayedTopic
from sim.player.night import night
from sim.player.sender import Sent
from sim.player.sources import Packet
from tests.support.dead_letters import SOURCE, Observatory
from tests.support.ledgers import ZTF, quick_storage
from tests.support.small_archives import SmallArchive


def write_down(folder: Path, source: TopicPartition, packets: Iterable[Packet]) -> Path:
    """A manifest of these messages, one after another in one partition."""
    where = PlayedTopic(source.cluster_id, source.topic, source.topic_id)
    with ManifestWriter(folder, where, {}) as manifest:
        for offset, packet in enumerate(packets):
            manifest.add(Sent(packet, source.topic, source.partition, offset, 0, aborted=False))
    return folder


def test_what_was_played_is_found_and_what_is_missing_is_told(tmp_path: Path) -> None:
    asked = SimulatorSettings(
        alerts=24,
        alerts_per_visit=10,
        plane_alerts=10,
        poison=0.5,
        duplicates=0.2,
        oversize=0.1,
        oversize_bytes=1_100_000,
        schema_bump="12",
    )
    packets = list(night(asked))
    manifest = write_down(tmp_path / "played", SOURCE, packets)
    observatory = Observatory(tmp_path)
    archive = LocalStorage(tmp_path / "archive")
    values = [packet.data for packet in packets]
    observatory.archive(0, values[:30])
    found = check(manifest, archive)
    assert {one.what for one in found.findings} == {MISSING}
    assert [one.offset for one in found.findings] == list(range(30, len(packets)))

    observatory.archive(30, values[30:])
    # The topic was deleted and made again since: these alerts are not of this play.
    observatory.archive(0, values[:5], source=SOURCE._replace(topic_id="made-anew"))
    found = check(manifest, archive)
    assert found.good, found.findings
    assert found.archived == sum(not packet.reasons for packet in packets)
    assert found.dead_lettered == sum(bool(packet.reasons) for packet in packets) > 8


def test_a_dead_letter_that_was_brought_in_is_an_alert(tmp_path: Path) -> None:
    good, broken = (
        Packet(b"?"),
        Packet(b"?", trouble="poison:truncated", reasons=(DeadLetterReason.TRUNCATED,)),
    )
    manifest = write_down(tmp_path / "played", ZTF, [good, good, broken, good])
    with quick_storage() as storage:
        archive = SmallArchive(storage)
        result = archive.put(0, 3, dead=(1, 2)).result
        found = check(manifest, storage)
        assert [(one.what, one.offset) for one in found.findings] == [(WRONGLY_DEAD, 1)]
        archive.resolve(result, 1)
        assert check(manifest, storage).good
