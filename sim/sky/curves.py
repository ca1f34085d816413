"""Light curves as functions of the time and of a few numbers.

Times and durations are days. All functions take arrays with one entry for each object, and return
the change of brightness as a factor of its own flux, or of the flux of its eruption.
"""

import numpy as np

from sim.sky.geometry import Floats

_SECOND_ECLIPSE = 0.5
_STEPS = 6


def waves_mag(turns: Floats, amplitudes_mag: Floats) -> Floats:
    """Return the sum of sine waves, in magnitudes; both arrays have the shape (n, waves)."""
    return np.sum(amplitudes_mag * np.sin(2 * np.pi * turns), axis=1)


def eruption(days: Floats, rise_days: Floats, fall_days: Floats) -> Floats:
    """Rise as the flank of a Gaussian and fall exponentially; 0 before the beginning.

    Parameters
    ----------
    days
        Days since the beginning.
    rise_days, fall_days
        Durations of rise and fall.
    """
    since = np.clip(days, 0, None)
    return -np.expm1(-((since / rise_days) ** 2)) * np.exp(-since / fall_days)


def eclipses_mag(turns: Floats, depth_mag: Floats, width: Floats) -> Floats:
    """Return two dips in each period, the second half as deep; `width` is a share of the period."""
    phase = turns % 1
    first = np.exp(-0.5 * (np.minimum(phase, 1 - phase) / width) ** 2)
    second = np.exp(-0.5 * ((phase - 0.5) / width) ** 2)
    return depth_mag * (first + _SECOND_ECLIPSE * second)


def flares(days: Floats, period_days: Floats, decay_days: Floats) -> Floats:
    """Rise at once and fall exponentially, once in each period."""
    return np.exp(-(days % period_days) / decay_days)


def microlensing(days: Floats, einstein_days: Floats, impact: Floats) -> Floats:
    """Return the magnification of a point by a point, minus one (Paczynski 1986, equation 7).

    Parameters
    ----------
    days
        Days since the closest approach.
    einstein_days
        Days in which the lens moves by its Einstein radius.
    impact
        The closest approach, in Einstein radii.
    """
    u_squared = impact**2 + (days / einstein_days) ** 2
    return (u_squared + 2) / np.sqrt(u_squared * (u_squared + 4)) - 1


def shrinking_steps(days: Floats, cycle_days: Floats) -> Floats:
    """Alternate bright and dark steps, each half as long as the last; then repeat the cycle.

    No known star does this.
    """
    left = 1 - (days % cycle_days) / cycle_days
    step = np.minimum(np.floor(-np.log2(np.maximum(left, 1e-9))), _STEPS)
    return np.where(step % 2 == 0, 1.0, -0.5)
