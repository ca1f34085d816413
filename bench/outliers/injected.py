"""Inject transients into visits of public nights, and count those in the top 20 of their night.

The transients have five types of simple light curves: magnitudes below the peak, and colours, by
days from the peak. A visit is taken from the history of an alert of the night, with the survey's
time, band and limit. The host galaxy is taken from another alert. So only the transient is made up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bench.outliers.detection import score_of
from bench.outliers.figures import TOP, Floats, above, auc, mean
from bench.outliers.public import halves
from finkray.outliers.context import CONTEXTS, contexts
from finkray.outliers.feature_list import features_of
from finkray.outliers.model import OutlierModel

_HOST: Final = (
    *("distnr", "magnr", "sigmagnr", "chinr", "sharpnr", "distpsnr1", "sgscore1"),
    *("sgmag1", "srmag1", "simag1", "szmag1", "objectidps1", "nmtchps"),
)
_PEAK_MAG: Final = (17.0, 19.5)
_LATEST_D: Final = 25.0
_HISTORY_D: Final = 30.0
_LIMIT_SNR: Final = 5.0
_LEAST_ERROR_MAG: Final = 0.02
_SCATTER_ARCSEC: Final = 0.1
_MOST_TRIES: Final = 200
_SAME_EXPOSURE_D: Final = 1e-5
_R_BAND: Final = 2


@dataclass(frozen=True, slots=True)
class Template:
    """A light curve, of straight lines between knots.

    Attributes
    ----------
    days
        days of the knots from the peak in r; before the first one the transient is not there
    below_peak_mag
        magnitudes below the peak in r at these days
    g_r_mag
        colour at these days
    """

    days: tuple[float, ...]
    below_peak_mag: tuple[float, ...]
    g_r_mag: tuple[float, ...]

    def mag(self, days: Floats, is_r: np.ndarray, peak_mag: float) -> Floats:
        """Return magnitudes at days from the peak; infinity before the explosion."""
        below = np.interp(days, self.days, self.below_peak_mag)
        colour = np.interp(days, self.days, self.g_r_mag)
        mag = peak_mag + below + np.where(is_r, 0.0, colour)
        return np.where(days < self.days[0], np.inf, mag)


TEMPLATES: Final[Mapping[str, Template]] = {
    "Ia": Template(
        (-17, -14, -10, -5, 0, 15, 25, 40, 80),
        (6.0, 3.0, 1.2, 0.3, 0.0, 0.6, 0.7, 1.6, 2.6),
        (0.1, 0.1, 0.0, 0.0, 0.05, 0.6, 1.0, 0.9, 0.7),
    ),
    "II": Template(
        (-8, -6, -3, 0, 30, 60, 90, 110),
        (6.0, 1.5, 0.4, 0.0, 0.1, 0.2, 0.5, 2.0),
        (-0.2, -0.2, -0.1, 0.0, 0.5, 0.8, 1.0, 1.2),
    ),
    "Ib/c": Template(
        (-15, -12, -7, 0, 15, 30, 60),
        (6.0, 2.5, 0.8, 0.0, 0.8, 1.6, 2.3),
        (0.3, 0.3, 0.3, 0.5, 1.0, 1.1, 0.9),
    ),
    "superluminous": Template(
        (-45, -40, -20, 0, 30, 60, 120),
        (6.0, 2.5, 0.7, 0.0, 0.6, 1.5, 3.0),
        (-0.3, -0.3, -0.2, -0.1, 0.2, 0.4, 0.6),
    ),
    "tidal disruption": Template(
        (-30, -27, -15, 0, 20, 40, 100),
        (6.0, 2.5, 0.7, 0.0, 0.5, 1.0, 2.0),
        (-0.2, -0.2, -0.2, -0.2, -0.15, -0.1, -0.1),
    ),
}


@dataclass(frozen=True, slots=True)
class Injected:
    """How injected transients rank in a night that the model does not know.

    Attributes
    ----------
    alerts
        number of injected alerts
    in_top
        share of them that fewer than 20 alerts of the night outscore or equal; each is compared
        alone
    in_top_seen_before
        the same share of those that were detected before; NaN if there are none
    auc
        of the injected alerts against the night's transient-like alerts
    """

    alerts: int
    in_top: float
    in_top_seen_before: float
    auc: float


def measure(
    packets: Mapping[str, pa.Table], names: Sequence[str], seeds: Sequence[int], count: int
) -> dict[str, Injected]:
    """Return the figures of each night, with models of half of the other nights' alerts.

    Parameters
    ----------
    packets
        nested alerts by name of the night
    names
        names of the nights into which transients are injected
    seeds
        of the models and of the transients
    count
        number of transients for each night and seed, the types in turn
    """
    every = list(packets.values())
    features = {name: features_of(table, "ztf") for name, table in packets.items()}
    found = {}
    for name in names:
        others = [table for other, table in features.items() if other != name]
        near = np.isin(contexts(packets[name]), CONTEXTS["transient-like"])
        in_top, seen, aucs = [], [], []
        for seed in seeds:
            train, _ = halves(others, np.random.default_rng(seed))
            model = OutlierModel.fit(pa.concat_tables(train), survey="ztf", seed=seed)
            rng = np.random.default_rng(seed)
            transients = features_of(injected_alerts(packets[name], every, rng, count), "ztf")
            ordinary, wanted = score_of(model, features[name]), score_of(model, transients)
            in_top.append(above(wanted, ordinary) < TOP)
            seen.append(_seen_before(transients))
            scores = np.concatenate([ordinary[near], wanted])
            aucs.append(auc(scores, np.arange(len(scores)) >= near.sum()))
        inside, before = np.concatenate(in_top), np.concatenate(seen)
        found[name] = Injected(len(inside), _share(inside), _share(inside[before]), mean(aucs))
    return found


def injected_alerts(
    night: pa.Table, hosts: Sequence[pa.Table], rng: np.random.Generator, count: int
) -> pa.Table:
    """Return alerts of transients that are injected into visits of a night, the types in turn."""
    donors = night.to_pylist()
    galaxies = [row["candidate"] for table in hosts for row in table.to_pylist() if _has_host(row)]
    templates = list(TEMPLATES.values())
    rows = [
        _row(donors, galaxies, templates[number % len(templates)], rng) | {"candid": -1 - number}
        for number in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=night.schema)


def _row(
    donors: Sequence[dict[str, Any]],
    galaxies: Sequence[dict[str, Any]],
    template: Template,
    rng: np.random.Generator,
) -> dict[str, Any]:
    for _ in range(_MOST_TRIES):
        donor = donors[int(rng.integers(len(donors)))]
        peak_mag, now_d = rng.uniform(*_PEAK_MAG), rng.uniform(template.days[0], _LATEST_D)
        candidate = donor["candidate"]
        if candidate["fid"] not in (1, _R_BAND):
            continue
        visits = [candidate, *(donor["prv_candidates"] or [])]
        jd, fid, limit = (
            np.array([visit[name] for visit in visits], float)
            for name in ("jd", "fid", "diffmaglim")
        )
        true_mag = template.mag(now_d + jd - jd[0], fid == _R_BAND, peak_mag)
        error = 1.0857 / _LIMIT_SNR * 10.0 ** (0.4 * (true_mag - limit))
        error = np.hypot(error, _LEAST_ERROR_MAG)
        mag = true_mag + rng.normal(size=len(jd)) * np.where(np.isfinite(error), error, 0.0)
        if mag[0] < limit[0] - 0.1:
            break
    else:
        raise RuntimeError(f"no visit of the night sees the transient in {_MOST_TRIES} tries")
    offsets_deg = rng.normal(size=(2, len(jd))) * _SCATTER_ARCSEC / 3600.0
    detected = {
        number: {
            "magpsf": float(mag[number]),
            "sigmapsf": float(error[number]),
            "ra": candidate["ra"] + float(offsets_deg[0, number]),
            "dec": candidate["dec"] + float(offsets_deg[1, number]),
            "isdiffpos": "t",
        }
        for number in np.flatnonzero(mag < limit).tolist()
    }
    nothing = dict.fromkeys(("magpsf", "sigmapsf", "ra", "dec", "isdiffpos"))
    host = galaxies[int(rng.integers(len(galaxies)))]
    now = candidate | {name: host[name] for name in _HOST if name in host} | detected[0]
    now |= {"ssdistnr": -999.0, "ssmagnr": -999.0, "ssnamenr": None}
    history = [
        visit | nothing | detected.get(number, {})
        for number, visit in enumerate(visits)
        if number and jd[0] - _HISTORY_D <= jd[number] < jd[0] - _SAME_EXPOSURE_D
    ]
    return donor | {"objectId": "injected", "candidate": now, "prv_candidates": history}


def _has_host(row: Mapping[str, Any]) -> bool:
    candidate = row["candidate"]
    return 0 <= candidate["sgscore1"] < 0.5 and 0 <= candidate["distpsnr1"] < 3


def _share(mask: np.ndarray) -> float:
    return float(mask.mean()) if len(mask) else float("nan")


def _seen_before(features: pa.Table) -> np.ndarray:
    return np.isfinite(features["scatter"].to_numpy())
