"""finkray: a Ray-based distributed alert broker with Spark interop."""

__version__ = "0.1.0"
