"""Refuse properties of librdkafka that finkray sets itself, in `options` of the settings."""

from collections.abc import Mapping
from typing import Any, Final

_ARCHIVE_DECIDES: Final = "the archive reads on from where its ledger ends"
_ONE_SETTING: Final = "it has a setting of its own"

SET_BY_FINKRAY: Final[Mapping[str, str]] = {
    "auto.offset.reset": f"{_ARCHIVE_DECIDES}; kafka.start says where a new one begins",
    "check.crcs": "checksums are always checked",
    "enable.auto.commit": f"{_ARCHIVE_DECIDES}; kafka.commit_offsets is for tools that watch lag",
    "enable.auto.offset.store": _ARCHIVE_DECIDES,
    "enable.idempotence": "each message is written once and in order",
    "enable.partition.eof": "the end of a partition closes a claim",
    "isolation.level": "only committed messages are read",
    "transactional.id": "it follows from streamout.instance",
}
"""What the guarantees rest on, with the reason why no option may change it."""

SETTINGS_OF_KAFKA: Final[Mapping[str, str]] = {
    "bootstrap.servers": f"{_ONE_SETTING}: kafka.bootstrap_servers",
    "metadata.broker.list": f"{_ONE_SETTING}: kafka.bootstrap_servers",
    "group.id": f"{_ONE_SETTING}: kafka.group_id",
    "message.max.bytes": f"{_ONE_SETTING}: kafka.max_message_bytes",
}
"""Properties of `[kafka]` that have a setting: an option would differ from what finkray goes by."""

SETTINGS_OF_STREAMOUT: Final[Mapping[str, str]] = {
    "bootstrap.servers": f"{_ONE_SETTING}: streamout.bootstrap_servers",
    "metadata.broker.list": f"{_ONE_SETTING}: streamout.bootstrap_servers",
    "message.max.bytes": f"{_ONE_SETTING}: streamout.max_message_bytes",
}
"""The same of `[streamout]`."""


def refuse_set_elsewhere(options: Mapping[str, Any], settings: Mapping[str, str]) -> None:
    """Refuse options that finkray would ignore, or that would contradict a setting.

    Parameters
    ----------
    options
        of the settings file
    settings
        the properties of this table that have a setting of their own

    Raises
    ------
    ValueError
        naming the first of them, and what stands in its place
    """
    for name, instead in {**SET_BY_FINKRAY, **settings}.items():
        if name in options:
            raise ValueError(f"{name} is no option, remove it: {instead}")
