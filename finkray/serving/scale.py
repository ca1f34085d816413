"""Decide the number of a service's actors. Pure."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class ScaleSettings:
    """Bounds of the number of actors, and times for scaling.

    Attributes
    ----------
    min_actors, max_actors
        never fewer, never more
    target_s
        waiting alerts are to be processed within this time
    quiet_s
        an actor is retired after this time in which fewer would have been enough
    """

    min_actors: int
    max_actors: int
    target_s: float
    quiet_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a service.

    Attributes
    ----------
    waiting_rows
        alerts that are durable and have no result
    rows_per_s
        alerts that one actor processes in a second; 0 while that is not known
    actors
        number of actors, those that are starting included
    held
        whether the breaker is open: more actors would not help
    """

    waiting_rows: int
    rows_per_s: float
    actors: int
    held: bool = False


@dataclass(frozen=True, slots=True)
class ScaleState:
    """State between two decisions: since when fewer actors would be enough."""

    quiet_since_s: float | None = None


def scale(
    load: Load, settings: ScaleSettings, state: ScaleState, now_s: float
) -> tuple[int, ScaleState]:
    """Return the number of actors that a service should have.

    The number grows at once, but at most to double: an actor that starts takes CPU from those that
    work. It shrinks by one at a time, and only after `quiet_s`, for a visit comes every 37 s.
    """
    low, high = settings.min_actors, settings.max_actors
    if load.held:
        return min(max(load.actors, low), high), ScaleState()
    if load.rows_per_s > 0:
        share = max(load.rows_per_s * settings.target_s, 1e-6)
        needed = math.ceil(min(load.waiting_rows / share, high))
    else:
        needed = 1 if load.waiting_rows else 0
    needed = min(max(needed, low), high)
    if needed >= load.actors:
        return min(needed, max(2 * load.actors, low, 1)), ScaleState()
    if load.actors > high:
        return high, ScaleState()
    if state.quiet_since_s is None:
        return load.actors, replace(state, quiet_since_s=now_s)
    if now_s - state.quiet_since_s < settings.quiet_s:
        return load.actors, state
    return load.actors - 1, ScaleState(quiet_since_s=now_s)
