"""Send the messages of judged files in the open transaction, and count them."""

from collections import Counter
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


def send_files(
    sender: Sender,
    maker: MessageMaker,
    judged: Sequence[JudgedFile],
    filters: Sequence[PublishedFilter],
    after: Mapping[str, Progress],
    *,
    quota_per_h: int,
) -> list[Sent]:
    """Send what passed of files, up to the quotas of the filters, and count it.

    Parameters
    ----------
    sender, maker, judged, filters, after
        as in `send_messages`
    quota_per_h
        of filters without a quota of their own

    Returns
    -------
    list
        of each file
    """
    hours = [_hour_of(found) for found in judged]
    planned: Counter[tuple[str, str]] = Counter()
    within = []
    for found, hour in zip(judged, hours, strict=True):
        verdicts = dict(found.verdicts)
        for each in filters:
            quota = each.quota_per_h or quota_per_h
            passed = verdicts[each.name].passed
            before = after[each.name].sent_by_hour.get(hour, 0) + planned[each.name, hour]
            over = passed[max(0, quota - before) :]
            planned[each.name, hour] += len(passed) - len(over)
            if len(over):
                codes = verdicts[each.name].codes.copy()
                codes[over] = NOT_PASSED
                verdicts[each.name] = Verdicts(codes)
                claim = found.item.claims[0] if found.item.claims else found.path
                names = [f"{claim} row {row}" for row in over[:NAMED_ALERTS]]
                reason = f"over its quota of {quota:,} alerts an hour"
                after[each.name].count_refused(reason, names, len(over))
        within.append(replace(found, verdicts=verdicts))
    sent = send_messages(sender, maker, within, filters, after)
    for own, hour in zip(sent, hours, strict=True):
        for name, rows in own.rows.items():
            after[name].count_sent(hour, len(rows))
    return sent


def send_messages(
    sender: Sender,
    maker: MessageMaker,
    judged: Sequence[JudgedFile],
    filters: Sequence[PublishedFilter],
    after: Mapping[str, Progress],
    *,
    kind: Kind = "alert",
) -> list[Sent]:
    """Send what passed of files, and count it.

    Parameters
    ----------
    sender
        with an open transaction
    maker
        makes the messages
    judged
        the files and the verdicts: a run, see `finkray.streamout.messages.runs`
    filters
        those that judged them
    after
        the progress that the transaction will have committed, by filter
    kind
        what the messages are

    Returns
    -------
    list
        of each file
    """
    sent = [Sent(rows={each.name: [] for each in filters}) for _ in judged]
    for messages in maker.messages(judged, filters, datetime.now(UTC), kind):
        name = messages.published.name
        progress = after[name]
        sizes = _send(sender, messages)
        for (file, row), size in zip(messages.rows, sizes, strict=True):
            if size:
                sent[file].rows[name].append(row)
                sent[file].size_bytes += size
        progress.sent_bytes += sum(sizes)
        messages_sent = sum(map(bool, sizes))
        if kind == "amendment":
            progress.amendments += messages_sent
            progress.amendments_refused += sum(map(len, messages.refused.values()))
            continue
        progress.sent += messages_sent
        for reason, sources in messages.refused.items():
            progress.count_refused(reason, sources, len(sources))
    return sent


def _hour_of(found: JudgedFile) -> str:
    """Return the hour in which Kafka got the alerts of a file; empty if its path has none."""
    path = parse_path(found.path)
    return "" if path is None else path.hour_utc.isoformat()


def late_file(
    found: JudgedFile, published: PublishedFilter, sent: Sequence[int]
) -> LateFile | None:
    """Return the alerts of a judged file that wait for answers of services; None if none wait.

    Parameters
    ----------
    found
        the file
    published
        the filter
    sent
        rows that were sent
    """
    definition = published.definition
    reasons = found.verdicts[published.name].reasons
    unjudged = reasons.get(needs_reason(definition.needs), []) if reasons else []
    lacking = lacking_rows(found, published, sent)
    if not unjudged and not lacking:
        return None
    file = found.item.file
    assert file is not None  # noqa: S101 - only files are judged
    empty = LateFile(
        filter=published.name,
        version=definition.version,
        path=file.path,
        rows=file.rows,
        fingerprint=file.schema_fingerprint,
        claims=found.item.claims,
        lacking={},
        unjudged=ranges_of(unjudged),
        needs=definition.needs,
        since=datetime.now(UTC),
    )
    return empty.with_rows(lacking, empty.unjudged_rows)


def lacking_rows(
    found: JudgedFile, published: PublishedFilter, sent: Sequence[int]
) -> dict[str, np.ndarray]:
    """Return the rows that were sent without the answer of a service that the filter names."""
    rows = np.array(sent, np.int64)
    out = {}
    for name in services_of(published.definition) if len(rows) else ():
        answers = found.answers.get(name)
        if answers is None:
            out[name] = rows
        elif answers.null_count:
            has_answer = answers.take(pa.array(rows)).is_valid().to_numpy()
            if not has_answer.all():
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
