"""Light curves as functions of the time and of a few numbers.

Times and durations are days. All functions take arrays with one entry for each object, and return
the change of brightness as a factor of its own flux, or of the flux of its eruption.
"""

import numpy as np

from sim.sky.geometry import Floats

_SECOND_ECLIPSE = 0.5
_STEPS = 6
_END_OF_RISE_DAYS = 1.0


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


def dip_mag(days: Floats, half_width_days: Floats, depth_mag: Floats) -> Floats:
    """Return one dip with a flat bottom, centred on day 0."""
    return depth_mag * np.exp(-((days / half_width_days) ** 4))


def plateau(days: Floats, life_days: Floats) -> Floats:
    """Return constant light from day 0 to the end of its life."""
    since = np.clip(days, 0, None)
    return np.where(days > 0, np.exp(-((since / life_days) ** 12)), 0.0)


def two_peaks(
    days: Floats, rise_days: Floats, fall_days: Floats, gap_days: Floats, ratio: Floats
) -> Floats:
    """Return an eruption and a second one `gap_days` later, `ratio` times as bright."""
    first = eruption(days, rise_days, fall_days)
    return first + ratio * eruption(days - gap_days, rise_days, fall_days)


def chirp_mag(
    days: Floats, cycle_days: Floats, longest_days: Floats, times_faster: Floats, height_mag: Floats
) -> Floats:
    """Return a wave whose period shrinks exponentially through a cycle, which then repeats.

    Parameters
    ----------
    days
        Days since the beginning of a cycle.
    cycle_days
        Days of a cycle.
    longest_days
        The period at its beginning.
    times_faster
        By how much the period at its end is shorter.
    height_mag
        Amplitude of the wave.
    """
    growth = np.log(times_faster)
    through = (days % cycle_days) / cycle_days
    turns = cycle_days / (longest_days * growth) * np.expm1(growth * through)
    return height_mag * np.sin(2 * np.pi * turns)


def runaway(days: Floats, scale_days: Floats) -> Floats:
    """Rise as a hyperbola towards day 0, ever faster, and be gone a few days after it."""
    before = scale_days / (scale_days + np.clip(-days, 0, None))
    return before * np.exp(-np.clip(days, 0, None) / _END_OF_RISE_DAYS)
