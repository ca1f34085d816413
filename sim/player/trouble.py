"""Add trouble to a stream of packets, at random from a seed: what a real night has, and worse.

Every alert still comes once and complete. Poison, oversized alerts, duplicates and the messages of
aborted transactions (see `sim.player.play`) are added to them; alerts that are out of order or late
are the alerts themselves, at another position or with another time.
"""

import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SettingsError
from sim.player.poison import KINDS, is_good, oversized, poisoned
from sim.player.sources import Packet

DUPLICATE: Final = "duplicate"
OUT_OF_ORDER: Final = "out_of_order"
LATE: Final = "late"
OVERSIZE: Final = "oversize"
POISON: Final = "poison:"

_FARTHEST = 1_000
"""Duplicates and alerts out of order come at most this many alerts after their turn."""

_SHORTEST_DELAY_S = 3_600.0
_LONGEST_DELAY_S = 48 * 3_600.0
"""How long ago the time in Kafka of a late alert is."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The amount of each trouble, as a share of the alerts.

    Attributes
    ----------
    poison
        Broken messages, one kind after another (`sim.player.poison.KINDS`).
    duplicates
        Alerts that come again, byte for byte, up to 1 000 alerts later.
    out_of_order
        Alerts that come up to 1 000 alerts after their turn, with the time of their turn.
    late
        Alerts whose time in Kafka is 1 to 48 hours ago, as if they had been delayed.
    oversize
        Alerts that come also in a version of `oversize_bytes`, which must then be set.
    """

    poison: float = 0.0
    duplicates: float = 0.0
    out_of_order: float = 0.0
    late: float = 0.0
    oversize: float = 0.0
    oversize_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("poison", "duplicates", "out_of_order", "late", "oversize"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} = {getattr(self, name)}: a share is from 0 to 1")
        if self.oversize and not self.oversize_bytes:
            raise SettingsError("oversize needs oversize_bytes: the size of the large alerts")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def troubled(
    packets: Iterable[Packet],
    trouble: Trouble,
    other_survey: Callable[[], bytes],
    *,
    seed: int = 0,
    now_ms: Callable[[], int] = _now_ms,
) -> Iterator[Packet]:
    """Yield the packets, with trouble added.

    Parameters
    ----------
    packets
        Good packets; no poison is made from broken ones.
    trouble
        The amount of each trouble.
    other_survey
        Returns a good packet of another survey; called when the first is needed.
    seed
        The same seed gives the same trouble to the same packets.
    now_ms
        The time of sending (Unix time, ms).
    """
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    kinds = itertools.cycle(KINDS)
    foreign: list[bytes] = []
    waiting: list[tuple[int, int, Packet]] = []
    order = itertools.count()
    turn = 0

    def wait(packet: Packet) -> None:
        heapq.heappush(waiting, (turn + rng.randint(1, _FARTHEST), next(order), packet))

    for turn, packet in enumerate(packets):
        while waiting and waiting[0][0] <= turn:
            yield heapq.heappop(waiting)[2]
        draw = {name: rng.random() for name in ("poison", "over", "late", "order", "twice")}
        data = packet.data or b""
        if draw["poison"] < trouble.poison and is_good(data):
            kind = next(kinds)
            if kind == "other_survey" and not foreign:
                foreign.append(other_survey())
            broken, reasons = poisoned(kind, data, foreign[0] if foreign else b"", rng)
            yield replace(
                packet,
                data=broken,
                object_id=None,
                candid=None,
                alert=None,
                trouble=POISON + kind,
                reasons=reasons,
            )
        if draw["over"] < trouble.oversize and is_good(data):
            large = oversized(data, trouble.oversize_bytes)
            yield replace(
                packet, data=large, trouble=OVERSIZE, reasons=(DeadLetterReason.TOO_LARGE,)
            )
        sent = packet
        if draw["late"] < trouble.late:
            delay_s = rng.uniform(_SHORTEST_DELAY_S, _LONGEST_DELAY_S)
            sent = replace(sent, trouble=LATE, create_ms=now_ms() - round(1_000 * delay_s))
        if draw["order"] < trouble.out_of_order:
            troubles = f"{sent.trouble}+{OUT_OF_ORDER}".lstrip("+")
            wait(replace(sent, trouble=troubles, create_ms=sent.create_ms or now_ms()))
        else:
            yield sent
        if draw["twice"] < trouble.duplicates:
            wait(replace(packet, trouble=DUPLICATE))
    yield from (packet for _, _, packet in sorted(waiting, key=lambda item: item[:2]))
