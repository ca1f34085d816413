"""`finkray consume`: print the alerts of a topic, or save them."""

from collections.abc import Callable
from pathlib import Path

from finkray.settings.model import Settings
from finkray.streamout.consuming import Format, TopicReader, lines, save, saved_positions


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
    reader = TopicReader(
        settings.streamout_client_config(), topic, settings.streamout.instance, positions
    )
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
