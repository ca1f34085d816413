"""The services that ship with finkray, and are called by their names alone."""

from collections.abc import Mapping
from typing import Final

SHIPPED: Final[Mapping[str, str]] = {
    "classify": "actors.classify:Classify",
    "crossmatch": "actors.crossmatch:Crossmatch",
    "remote_crossmatch": "actors.remote_crossmatch:RemoteCrossmatch",
}


def spec_named(text: str) -> str:
    """``module:Name`` of a service that ships; of any other, what was said."""
    return SHIPPED.get(text, text)
