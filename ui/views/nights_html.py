"""The nights of the archive as a calendar, the hours of one, its disk, audit and dead letters."""

import calendar
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final
from urllib.parse import urlencode

from finkray.dead_letter_reason import DeadLetterReason
from finkray.status.last_audit import LastAudit
from finkray.text import bytes_text, clipped, count_text, duration_text, time_text
from ui.kit.elements import Cell, Column, Figure, Level, Table
from ui.kit.markup import code_html, escaped
from ui.lookups.records import MEAN_NIGHTS, NIGHT_BEGINS_UTC_HOUR, Amount, Letter, NightsRecord

PATH: Final = "archive"

AUDIT_WARN_S: Final = 2 * 86_400.0
"""The page marks an audit that is older than this: one a day is meant (docs/operations.md)."""

BAD_BELOW_NIGHTS: Final = 7.0
"""The page marks the disk as bad when it has room for fewer nights than this."""

_MOST_MONTHS: Final = 24
_SHADES: Final = 4


def href(**parameters: str) -> str:
    """Return the address of the page with parameters, relative to the first page."""
    chosen = {name: value for name, value in parameters.items() if value}
    return f"{PATH}?{urlencode(chosen)}"


def letter_name(letter: Letter) -> str:
    """Return the name of a dead letter in an address."""
    return f"{letter.partition}:{letter.offset}:{letter.topic}"


def parse_letter_name(text: str) -> tuple[str, int, int] | None:
    """Return topic, partition and offset of a name in an address; None if it is malformed."""
    partition, _, rest = text.partition(":")
    offset, _, topic = rest.partition(":")
    numbers = [part for part in (partition, offset) if part.isascii() and part.isdecimal()]
    if len(numbers) != 2 or not topic or max(map(len, numbers)) > 18:
        return None
    return topic, int(partition), int(offset)


def figures(record: NightsRecord, audit: LastAudit | None, now: datetime) -> tuple[Figure, ...]:
    """Return how much there is, how long the disk lasts, and what the last audit found."""
    amounts = [amount for _, amount in record.nights]
    letters = sum(count for _, count in record.dead_letters_by_reason)
    return (
        Figure(
            "alerts", count_text(sum(each.alerts for each in amounts)), _nights_text(len(amounts))
        ),
        Figure(
            "size",
            bytes_text(sum(each.size_bytes for each in amounts)),
            f"{count_text(sum(each.files for each in amounts))} files of alerts",
        ),
        Figure(
            "dead letters",
            count_text(letters),
            "not resolved",
            "warn" if letters else "good",
        ),
        _disk(record),
        _audit(audit, now),
    )


def calendar_html(nights: Sequence[tuple[date, Amount]], chosen: date | None) -> str:
    """Return the months with alerts, each night a link, the more alerts the darker."""
    if not nights:
        return "<section class='fr-table fr-wide'><h2>nights</h2><p>no alert yet</p></section>"
    of_night = dict(nights)
    most = max(amount.alerts for amount in of_night.values())
    months = sorted({(night.year, night.month) for night in of_night}, reverse=True)
    rows = "".join(
        _month(year, month, of_night, most, chosen) for year, month in months[:_MOST_MONTHS]
    )
    return (
        "<section class='fr-table fr-wide'><h2>nights</h2>"
        f"<div class='fr-scroll' tabindex='0' role='region' aria-label='calendar of nights'>{rows}"
        f"</div><p>a night is named by the date on which it began at {NIGHT_BEGINS_UTC_HOUR} h UTC,"
        " by Kafka's timestamps; the darker, the more alerts</p></section>"
    )


def nights_table(nights: Sequence[tuple[date, Amount]], limit: int = 60) -> Table:
    """Return the newest nights."""
    return Table(
        f"the newest nights ({min(limit, len(nights))} of {len(nights)})",
        (
            Column("night"),
            Column("alerts", number=True),
            Column("bytes", number=True),
            Column("files", number=True),
            Column("dead letters", number=True),
        ),
        tuple(
            (
                Cell(night.isoformat(), href=href(night=night.isoformat())),
                Cell(count_text(amount.alerts)),
                Cell(bytes_text(amount.size_bytes)),
                Cell(count_text(amount.files)),
                Cell(count_text(amount.dead_letters), "warn" if amount.dead_letters else "quiet"),
            )
            for night, amount in nights[:limit]
        ),
        "no alert yet",
        "dead letters: by the time at which they were filed",
    )


def hours_table(hours: Sequence[tuple[datetime, str, int]]) -> Table:
    """Return the hours of a night."""
    return Table(
        "hours of the night",
        (Column("hour, UTC"), Column("topic"), Column("alerts", number=True)),
        tuple(
            (Cell(f"{hour:%Y-%m-%d %H} h"), Cell(topic), Cell(count_text(alerts)))
            for hour, topic, alerts in hours
        ),
        "no alert",
    )


def reasons_table(reasons: Sequence[tuple[str, int]]) -> Table:
    """Return the dead letters by reason."""
    return Table(
        "dead letters by reason",
        (Column("reason"), Column("count", number=True)),
        tuple((Cell(reason), Cell(count_text(count))) for reason, count in reasons),
        "none",
    )


def letters_table(letters: Sequence[Letter]) -> Table:
    """Return the newest dead letters, each a link to its bytes."""
    return Table(
        f"the newest dead letters ({len(letters)})",
        (
            Column("message"),
            Column("arrived in Kafka"),
            Column("reason"),
            Column("bytes", number=True),
            Column("detail", prose=True),
        ),
        tuple(
            (
                Cell(
                    f"{letter.topic}[{letter.partition}] {letter.offset}",
                    href=f"{href(letter=letter_name(letter))}#letter",
                ),
                Cell("-" if letter.at is None else time_text(letter.at)),
                Cell(letter.reason),
                Cell(count_text(letter.size_bytes)),
                Cell(letter.detail),
            )
            for letter in letters
        ),
        "none that is not resolved",
        "finkray deadletters lists, exports and retries them",
    )


def letter_html(letter: Letter) -> str:
    """Return one dead letter: why it did not decode, and its first bytes."""
    where = f"{letter.topic}[{letter.partition}] {letter.offset}"
    known = [each for each in DeadLetterReason if each.value == letter.reason]
    reason = known[0].value if known else clipped(letter.reason, 100)
    return (
        f"<section class='fr-table fr-wide' id='letter'><h2>dead letter "
        f"{escaped(clipped(where, 300))}</h2>"
        f"<p>{escaped(reason)}: {escaped(clipped(letter.detail, 1000))}</p>"
        f"<p>{count_text(letter.size_bytes)} bytes, of which the first are:</p>"
        f"{code_html(chr(10).join(letter.head) or '(empty)')}</section>"
    )


def _disk(record: NightsRecord) -> Figure:
    left = record.nights_left
    if record.free_bytes is None:
        return Figure("disk", "not bounded", "the storage does not tell its free space")
    free = f"{bytes_text(record.free_bytes)} free"
    if left is None:
        return Figure("disk lasts", "unknown", f"{free}; no night to reckon with")
    level: Level = "bad" if left < BAD_BELOW_NIGHTS else "quiet"
    value = _nights_text(math.floor(left)) if left < 10_000 else "> 10 000 nights"
    a_night = f"{bytes_text(record.bytes_a_night)} a night, mean of the last {MEAN_NIGHTS}"
    return Figure("disk lasts", value, f"{free}; {a_night}", level)


def _audit(audit: LastAudit | None, now: datetime) -> Figure:
    if audit is None:
        return Figure("last audit", "unknown", "none on this machine: finkray audit", "warn")
    age_s = (now - audit.at).total_seconds()
    note = f"{time_text(audit.at)} ({duration_text(age_s)} ago)"
    if audit.deep:
        note += f", files of {audit.deep} opened"
    if not audit.balanced:
        found = f"{count_text(audit.difference)} offsets not accounted for, "
        found += f"{count_text(audit.findings)} findings; {note}"
        return Figure("last audit", "not balanced", found, "bad")
    return Figure("last audit", "balanced", note, "warn" if age_s > AUDIT_WARN_S else "good")


def _month(
    year: int, month: int, of_night: Mapping[date, Amount], most: int, chosen: date | None
) -> str:
    days = []
    for number in range(1, calendar.monthrange(year, month)[1] + 1):
        night = date(year, month, number)
        amount = of_night.get(night)
        if amount is None:
            days.append(f"<span class='fr-day'>{number}</span>")
            continue
        share = math.log1p(amount.alerts) / math.log1p(most) if most else 0.0
        shade = max(1, math.ceil(share * _SHADES)) if amount.alerts else 0
        title = (
            f"{night}: {count_text(amount.alerts)} alerts, {bytes_text(amount.size_bytes)}, "
            f"{count_text(amount.dead_letters)} dead letters"
        )
        current = " aria-current='true'" if night == chosen else ""
        dead = " fr-dead" if amount.dead_letters else ""
        days.append(
            f"<a class='fr-day fr-shade{shade}{dead}' href='{href(night=night.isoformat())}' "
            f"title='{escaped(title)}' aria-label='{escaped(title)}'{current}>{number}</a>"
        )
    return (
        f"<div class='fr-month'><span class='fr-monthname'>{year}-{month:02d}</span>"
        f"{''.join(days)}</div>"
    )


def _nights_text(count: int) -> str:
    return "1 night" if count == 1 else f"{count_text(count)} nights"
