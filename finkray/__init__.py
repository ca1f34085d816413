"""finkray: a Ray-based distributed alert broker with Spark interop."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finkray.follow import Durable
    from finkray.reader import Archive, open_archive

__version__ = "0.1.0"

__all__ = ["Archive", "Durable", "__version__", "open_archive"]


def __getattr__(name: str) -> Any:
    # pyarrow's datasets bring pandas with them, a second that only those pay who read.
    if name in __all__:
        from finkray import follow, reader

        return getattr(follow if name == "Durable" else reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
