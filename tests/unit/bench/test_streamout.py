from pathlib import Path

import finkray
from bench.streamout import Feeder, magnitude_limits
from bench.topics import read_feed
from finkray.ledger.claims import read_claims
from finkray.storage.opening import StorageLocation, open_storage


def test_the_archive_of_the_benchmark_has_each_claim_once(tmp_path: Path, test_data: Path) -> None:
    packets = read_feed("containers", test_data).messages[:20]
    storage = open_storage(StorageLocation(str(tmp_path)))
    feeder = Feeder(storage, packets)
    assert feeder.put(21) == 40
    feeder.put_at_once([3, 2, 25], partitions=2)
    feeder.put_at_once([5], partitions=2)
    claims = read_claims(storage, ("seq", "partition", "first_offset", "last_offset")).to_pylist()
    found = [tuple(claim.values())[1:] for claim in claims]
    assert sorted(found) == [
        (0, 0, 19),
        (0, 20, 39),
        (0, 40, 42),
        (0, 43, 67),
        (0, 68, 72),
        (1, 0, 1),
    ]
    assert len({claim["seq"] for claim in claims}) == 4
    archive = finkray.open_archive(tmp_path)
    assert archive.audit().balanced
    assert len(archive.dataset().to_table(["candid"])) == 75


def test_finkray_and_its_peers_cut_at_the_same_magnitudes() -> None:
    assert magnitude_limits(10) == magnitude_limits(10)
    assert len(set(magnitude_limits(10))) == 10
