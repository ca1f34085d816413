"""`finkray ledger rebuild`: rebuild the ledger of the archive, and report what was done."""

from collections.abc import Callable, Iterator
from typing import Final

from finkray.claim import Claim, TopicPartition
from finkray.errors import LedgerCorrupt, SettingsError
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.claims import read_claims
from finkray.ledger.identity import IDENTITY_PATH
from finkray.ledger.rebuild import RebuildResult, rebuild
from finkray.results.store import list_stores
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER, DEAD_LETTERS_FOLDER
from finkray.storage.opening import open_storage
from finkray.text import count_text

_BOUNDS: Final = ("first_offset", "last_offset")

SHOWN: Final = 10
"""How many files of each list are shown; `--json` has all of them."""


def rebuild_now(
    settings: Settings,
    tell: Callable[[str], None],
    *,
    replace_readable: bool = False,
    dry_run: bool = False,
) -> RebuildResult:
    """Rebuild the ledger of the archive of the settings; see `finkray.ledger.rebuild.rebuild`.

    Raises
    ------
    SettingsError
        There is no archive, not even files of one.
    """
    storage = open_storage(settings.archive)
    folders = ("ledger", ALERTS_FOLDER, DEAD_LETTERS_FOLDER)
    anything = any(storage.below(folder).exists() for folder in folders)
    if not anything and storage.size_bytes(IDENTITY_PATH) is None:
        raise SettingsError(f"there is no archive in {storage.uri}: is archive.uri right?")
    kafka = KafkaCluster(settings.kafka.client_config())
    try:
        return rebuild(
            storage,
            kafka,
            lease_ttl_s=settings.archive.lease_ttl_s,
            known_claims=claims_of_services(storage, tell),
            replace_readable=replace_readable,
            dry_run=dry_run,
            tell=tell,
        )
    finally:
        kafka.close()


def claims_of_services(archive: Storage, tell: Callable[[str], None]) -> set[Claim]:
    """Return the claims that services have results of."""
    claims: set[Claim] = set()
    for store in list_stores(archive):
        try:
            table = read_claims(store.storage, [*TopicPartition._fields, *_BOUNDS])
        except LedgerCorrupt as error:
            tell(f"results of {store.name} {store.version} are not used: {error}")
            continue
        for row in table.to_pylist():
            first, last = (row.pop(name) for name in _BOUNDS)
            claims.add(Claim(TopicPartition(**row), first, last))
    return claims


def rebuilt_text(rebuilt: RebuildResult) -> str:
    """Return what `finkray ledger rebuild` prints."""
    return "\n".join(_lines(rebuilt))


def _lines(rebuilt: RebuildResult) -> Iterator[str]:
    yield f"{count_text(rebuilt.kept_entries)} entries of the ledger are kept"
    yield from _listed("damaged, replaced", rebuilt.damaged)
    if rebuilt.replayed_claims:
        yield f"{count_text(rebuilt.replayed_claims)} claims come from entries after the damage"
    yield (
        f"{count_text(rebuilt.claims_from_files)} claims come from files: "
        f"{count_text(rebuilt.files)} files with {count_text(rebuilt.alerts)} alerts and "
        f"{count_text(rebuilt.dead_letters)} dead letters"
    )
    if rebuilt.short_topic_ids:
        yield (
            "neither the ledger nor Kafka knows the whole ids of these topics; the 8 characters in "
            f"the names of their files stand for them: {', '.join(rebuilt.short_topic_ids)}"
        )
    yield from _listed("left out", [f"{path}: {why}" for path, why in rebuilt.left_out])
    unknown = rebuilt.in_no_file + rebuilt.missing
    if unknown:
        yield (
            f"{count_text(unknown)} offsets are in no file: they were gaps, or their files are "
            "lost. `finkray audit --redrive` reads them from Kafka, or records them as expired"
        )
    if rebuilt.set_aside:
        yield f"what was replaced or left out is in {rebuilt.set_aside}"
    if rebuilt.entries:
        yield f"the ledger has {count_text(rebuilt.entries)} entries now: run `finkray audit`"
    else:
        yield "nothing was changed (--dry-run)"


def _listed(what: str, items: "tuple[str, ...] | list[str]") -> Iterator[str]:
    for item in items[:SHOWN]:
        yield f"{what}: {item}"
    if len(items) > SHOWN:
        yield f"… and {len(items) - SHOWN} more {what}; --json lists all of them"
