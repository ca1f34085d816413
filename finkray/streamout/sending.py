"""Send the messages of a judged file in the open transaction, and count them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from finkray.errors import SchemaError
from finkray.storage.layout import parse_path
from finkray.streamout.judging import needs_reason, services_of
from finkray.streamout.late import LateFile, ranges_of
from finkray.streamout.messages import JudgedFile, MessageMaker, Messages
from finkray.streamout.output_schema import Kind
from finkray.streamout.progress import Progress
from finkray.streamout.published import PublishedFilter
from finkray.streamout.sender import Sender
from finkray.streamout.verdict import NAMED_ALERTS, NOT_PASSED, Verdicts

TOO_LARGE = "larger than the topic takes"


@dataclass(slots=True)
class Sent:
    """What was sent of a file.

    Attributes
    ----------
    size_bytes
        of all messages
    rows
        for each filter, the rows of the file that were sent
    """

    size_bytes: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)


def send_file(
    sender: Sender,
    maker: MessageMaker,
    found: JudgedFile,
    filters: Sequence[PublishedFilter],
    after: Mapping[str, Progress],
    *,
    quota_per_h: int,
) -> Sent:
    """Send what passed of a file, up to the quotas of the filters, and count it.

    Parameters
    ----------
    sender, maker, found, filters, after
        as in `send_messages`
    quota_per_h
        of filters without a quota of their own
    """
    assert found.item.file is not None  # noqa: S101 - only files are judged
    path = parse_path(found.item.file.path)
    hour = "" if path is None else path.hour_utc.isoformat()
    verdicts = dict(found.verdicts)
    for each in filters:
        quota = each.quota_per_h or quota_per_h
        passed = verdicts[each.name].passed
        over = passed[max(0, quota - after[each.name].sent_by_hour.get(hour, 0)) :]
        if len(over):
            codes = verdicts[each.name].codes.copy()
            codes[over] = NOT_PASSED
            verdicts[each.name] = Verdicts(codes)
            claim = found.item.claims[0] if found.item.claims else found.item.file.path
            names = [f"{claim} row {row}" for row in over[:NAMED_ALERTS]]
            reason = f"over its quota of {quota:,} alerts an hour"
            after[each.name].count_refused(reason, names, len(over))
    sent = send_messages(sender, maker, replace(found, verdicts=verdicts), filters, after)
    for name, rows in sent.rows.items():
        after[name].count_sent(hour, len(rows))
    return sent


def send_messages(
    sender: Sender,
    maker: MessageMaker,
    found: JudgedFile,
    filters: Sequence[PublishedFilter],
    after: Mapping[str, Progress],
    *,
    kind: Kind = "alert",
) -> Sent:
    """Send what passed of a file, and count it.

    Parameters
    ----------
    sender
        with an open transaction
    maker
        makes the messages
    found
        the file and the verdicts
    filters
        those that judged it
    after
        the progress that the transaction will have committed, by filter
    kind
        what the messages are
    """
    sent = Sent(rows={each.name: [] for each in filters})
    for messages in maker.messages(found, filters, datetime.now(UTC), kind):
        name = messages.published.name
        progress = after[name]
        sizes = _send(sender, messages)
        rows = [row for row, size in zip(messages.rows, sizes, strict=True) if size]
        sent.rows[name] = rows
        sent.size_bytes += sum(sizes)
        progress.sent_bytes += sum(sizes)
        if kind == "amendment":
            progress.amendments += len(rows)
            progress.amendments_refused += sum(map(len, messages.refused.values()))
            continue
        progress.sent += len(rows)
        for reason, sources in messages.refused.items():
            progress.count_refused(reason, sources, len(sources))
    return sent


def late_file(found: JudgedFile, published: PublishedFilter, sent: Sequence[int]) -> LateFile:
    """Return the alerts of a judged file that wait for answers of services.

    Parameters
    ----------
    found
        the file
    published
        the filter
    sent
        rows that were sent
    """
    file = found.item.file
    assert file is not None  # noqa: S101 - only files are judged
    definition = published.definition
    reasons = found.verdicts[published.name].reasons
    empty = LateFile(
        filter=published.name,
        version=definition.version,
        path=file.path,
        rows=file.rows,
        fingerprint=file.schema_fingerprint,
        claims=found.item.claims,
        lacking={},
        unjudged=ranges_of(reasons.get(needs_reason(definition.needs), [])),
        needs=definition.needs,
        since=datetime.now(UTC),
    )
    return empty.with_rows(lacking_rows(found, published, sent), empty.unjudged_rows)


def lacking_rows(
    found: JudgedFile, published: PublishedFilter, sent: Sequence[int]
) -> dict[str, np.ndarray]:
    """Return for each service that a filter names, the rows that were sent without its answer."""
    rows = np.array(sent, np.int64)
    out = {}
    for name in services_of(published.definition) if len(rows) else ():
        answers = found.answers.get(name)
        has_answer = (
            np.zeros(len(rows), np.bool_)
            if answers is None
            else answers.take(pa.array(rows)).is_valid().to_numpy()
        )
        out[name] = rows[~has_answer]
    return out


def _send(sender: Sender, messages: Messages) -> list[int]:
    """Send messages; return their sizes, 0 of those that are refused, and note why they are."""
    try:
        sizes = sender.send(
            messages.published, messages.object_ids, messages.records, messages.schema_text
        )
    except SchemaError as error:
        messages.refused.setdefault(str(error), []).extend(messages.sources)
        return [0] * len(messages.rows)
    large = [source for source, size in zip(messages.sources, sizes, strict=True) if not size]
    if large:
        messages.refused.setdefault(TOO_LARGE, []).extend(large)
    return sizes
