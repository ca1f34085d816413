"""`finkray consume` and `finkray transfer`: read the topic of a filter, write old alerts to one."""

import threading
from collections.abc import Callable
from pathlib import Path

from finkray.errors import SettingsError
from finkray.settings.model import Settings
from finkray.storage.hours import span_between
from finkray.streamout.consuming import (
    Format,
    TopicReader,
    lines,
    refuse_another_topic,
    save,
    saved_positions,
)
from finkray.streamout.filter_file import read_filter
from finkray.streamout.notifying import Notifier
from finkray.streamout.projection import Projection
from finkray.streamout.transfer import TransferResult, transfer, transfer_to_files
from jobs.cluster.archive import archive_of
from jobs.cluster.streamout_kafka import streamout_kafka


def consume_now(
    settings: Settings,
    topic: str,
    folder: Path | None,
    form: Format,
    *,
    print_line: Callable[[str], None],
    go_on: Callable[[bool], bool],
    limit: int | None,
) -> int:
    """Read a topic; return how many alerts were printed or saved.

    Parameters
    ----------
    settings
        With the Kafka of streaming out.
    topic
        Its name.
    folder, form
        Where to save, and as what; None prints.
    print_line
        Prints a line.
    go_on
        As of `TopicReader.batches`.
    limit
        Most alerts to print; None is all.

    Raises
    ------
    FinkrayError
        If there is no such topic, or it cannot be read.
    """
    positions = {} if folder is None else saved_positions(folder, topic)
    reader = TopicReader(streamout_kafka(settings), topic, settings.streamout.instance, positions)
    if folder is not None:
        refuse_another_topic(folder, topic, reader.topic_id)
    count = 0
    for received in reader.batches(go_on):
        if folder is not None:
            save(received, folder, form)
            count += len(received.records)
            continue
        for line in lines(received):
            print_line(line)
            count += 1
            if count == limit:
                return count
    return count


def notify_now(
    settings: Settings,
    topic: str,
    webhook_file: Path,
    every_s: float,
    *,
    follow: bool,
    stopping: threading.Event,
) -> int:
    """Post digests of a topic to a webhook; return how many.

    Raises
    ------
    SettingsError
        If the file has no address of a webhook.
    FinkrayError
        If there is no such topic, or it cannot be read.
    """
    try:
        address = webhook_file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise SettingsError(f"{webhook_file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{webhook_file} is no text in UTF-8") from error
    posted = webhook_file.with_name(f"{webhook_file.name}.posted")
    notifier = Notifier(address, topic, posted, every_s, stopping)
    reader = TopicReader(
        streamout_kafka(settings),
        topic,
        settings.streamout.instance,
        notifier.positions,
    )
    for received in reader.batches(notifier.go_on(lambda at_end: follow or not at_end)):
        notifier.add(received)
    return notifier.posts


def transfer_now(
    settings: Settings,
    target: str | Path,
    times: tuple[str, str],
    file: Path | None,
    projection: str,
    *,
    form: Format,
    tell: Callable[[str], None],
    stopping: threading.Event,
) -> TransferResult:
    """Write archived alerts to a new topic, or to files.

    Parameters
    ----------
    settings
        With the archive and the Kafka of streaming out.
    target
        The name of the topic, or the folder of the files.
    times
        Alerts that were received from the first time on, up to the second.
    file
        Of a filter; None takes all alerts.
    projection
        Which fields.
    form
        Of files.
    tell, stopping
        Shows progress; ends the work.

    Raises
    ------
    SettingsError
        If a time, the topic or the projection is none.
    FilterError
        If the filter cannot be read, or fails.
    """
    try:
        span = span_between(*times)
    except ValueError as error:
        raise SettingsError(f"--from, --to: {error}") from error
    if isinstance(target, Path):
        return transfer_to_files(
            archive_of(settings),
            settings.streamout,
            folder=target,
            form=form,
            span=span,
            definition=None if file is None else read_filter(file),
            projection=Projection.from_text(projection),
            tell=tell,
            stopping=stopping,
        )
    return transfer(
        archive_of(settings),
        streamout_kafka(settings),
        settings.streamout,
        topic=target,
        span=span,
        definition=None if file is None else read_filter(file),
        projection=Projection.from_text(projection),
        tell=tell,
        stopping=stopping,
    )
