"""Filters as they are published, without a Kafka."""

from datetime import UTC, datetime

from finkray.streamout.filter_file import filter_of_text
from finkray.streamout.projection import Projection
from finkray.streamout.published import PublishedFilter
from finkray.streamout.wire import Wire

SQL = 'sql = "magpsf < 18"'


def published(name: str, topic: str, *, text: str = SQL, cursor: str = "1:0:0") -> PublishedFilter:
    """Return an active filter of a TOML file that writes lite alerts to a topic."""
    return PublishedFilter(
        definition=filter_of_text(f"{name}.toml", text),
        file_name=f"{name}.toml",
        source=text,
        topic=topic,
        projection=Projection("lite"),
        wire=Wire.CONFLUENT,
        cursor=cursor,
        state="active",
        published_at=datetime.now(UTC),
    )
