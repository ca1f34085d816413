"""Limits of a service's process as the settings have them by default."""

from dataclasses import replace
from typing import Any

from finkray.services.messages import GivenSettings, Limits
from finkray.serving.run import limits_of
from finkray.settings.model import Settings


def default_limits(**changes: Any) -> Limits:
    """Return the default limits with some changed, and no settings for services."""
    return replace(limits_of(Settings()), **{"settings": GivenSettings(), **changes})
