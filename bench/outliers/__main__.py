"""`python -m bench.outliers`: measure how well outliers are found, and whether reasons are right.

It measures each kind of the simulator's strange sky, beside plain isolation forests; a real tidal
disruption event among public nights; these nights against each other, and their p-values; thumbs of
three simulated users; reasons; speed. It needs the public test data.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.options import begin
from bench.outliers import curves, detection, injected, public, reasons, report, taste
from bench.outliers.alerts import (
    NIGHTS,
    TDE,
    WHOLE_NIGHTS,
    SimulatedSky,
    public_night,
    public_tde,
    simulated_sky,
    simulated_table,
)
from bench.outliers.plots import plot_calibration, plot_scores
from finkray.outliers.feature_list import features_of
from finkray.outliers.model import OutlierModel

PARTS = ("sky", "public", "thumbs", "reasons")
_SPEED_ALERTS = 4_000
_INJECTED = 50
_MANY_STRANGE = 20.0
"""Percentage of strange alerts in a further sky: with 1 %, half a sky has few objects of a kind."""
_SEED_OF_MANY = 11


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; write JSON and plots if they are wanted."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, [TDE, *map(Path, NIGHTS.values())]):
        return 2
    measured: dict[str, Any] = {}
    seeds = list(range(1, options.seeds + 1))
    skies = _skies(seeds, options) if {"sky", "thumbs"} & set(options.parts) else {}
    packets = {name: public_night(options.data, name) for name in NIGHTS}
    event_packets = public_tde(options.data)
    nights = {name: features_of(table, "ztf") for name, table in packets.items()}
    event = features_of(event_packets, "ztf")
    if "sky" in options.parts:
        measured["sky"] = _sky(skies, options)
    if "public" in options.parts:
        measured["public"] = _public(nights, event, seeds)
        measured["injected"] = injected.measure(packets, WHOLE_NIGHTS, seeds, _INJECTED)
        _print(
            "Transients injected into the visits of a night that the model does not know",
            report.injected_table(measured["injected"]),
        )
    if "thumbs" in options.parts:
        measured["thumbs"] = taste.measure(skies)
        _print(
            "Thumbs: precision in the top 20 / AUC of the half that is never shown (thumbs up)", ""
        )
        sys.stdout.write(report.taste_table(measured["thumbs"]) + "\n")
        picked = [packets[name] for name in NIGHTS if name not in WHOLE_NIGHTS]
        transients = pa.concat_tables([event_packets, *picked], promote_options="permissive")
        measured["thumbs_real"] = taste.measure_real(packets, transients, seeds)
        _print("The same of users of opposite taste, on the public nights", "")
        sys.stdout.write(report.taste_table(measured["thumbs_real"]) + "\n")
    if "reasons" in options.parts:
        measured["reasons"] = _reasons(nights)
    if options.plots:
        _plot(nights, event, options.plots)
    if options.json:
        options.json.write_text(json.dumps(_plain(measured), indent=2) + "\n", "utf-8")
    return 0


def _skies(seeds: Sequence[int], options: argparse.Namespace) -> dict[int, SimulatedSky]:
    return {seed: _simulated(seed, options.strange, options) for seed in seeds}


def _simulated(seed: int, strange_percent: float, options: argparse.Namespace) -> SimulatedSky:
    return simulated_sky(
        seed,
        nights=options.nights,
        alerts_per_visit=options.alerts_per_visit,
        strange_percent=strange_percent,
    )


def _sky(skies: Mapping[int, SimulatedSky], options: argparse.Namespace) -> dict[str, Any]:
    found = [detection.stage_a(sky, seed) for seed, sky in skies.items()]
    stage_a = {name: detection.averaged([one[name] for one in found]) for name in found[0]}
    counts = ", ".join(str(len(sky.kind)) for sky in skies.values())
    _print(
        f"Stage A on the simulated sky ({counts} alerts), half of it scored: AUC by object / share "
        "of the kind's objects in the top 20",
        report.detection_table(stage_a, "packet"),
    )
    curve_found = [curves.stage_b(sky, seed) for seed, sky in skies.items()]
    stage_b = {
        name: detection.averaged([one[name] for one in curve_found]) for name in curve_found[0]
    }
    _print(
        "Stage B, of the objects that have a curve, and both stages, of all objects",
        report.detection_table(stage_b, "curve"),
    )
    many = _simulated(_SEED_OF_MANY, _MANY_STRANGE, options)
    seed, sky = next(iter(skies.items()))
    of_many = curves.stage_b_of_many(sky, many, seed)
    _print(
        f"Stage B of a sky with {_MANY_STRANGE:.0f} % strange alerts, and the reference of before",
        report.many_table(of_many),
    )
    return {"stage_a": stage_a, "stage_b": stage_b, "stage_b_of_many": of_many}


def _public(
    nights: Mapping[str, pa.Table], event: pa.Table, seeds: Sequence[int]
) -> dict[str, Any]:
    found = public.tde(nights, event, seeds)
    apart = public.nights_apart(nights, WHOLE_NIGHTS, seeds)
    calibration = public.calibration(nights, WHOLE_NIGHTS, seeds[0])
    _print("The public tidal disruption event among the public nights", report.tde_text(found))
    _print(
        "Each night against the others, and its share of small p-values calibrated with "
        "its own alerts; frozen: with the model's reference",
        report.nights_table(apart, calibration),
    )
    return {"tde": found, "nights_apart": apart, "calibration": calibration}


def _reasons(nights: Mapping[str, pa.Table]) -> dict[str, Any]:
    train, test = public.halves(list(nights.values()), np.random.default_rng(1))
    model = OutlierModel.fit(pa.concat_tables(train), survey="ztf", seed=1)
    found = reasons.reasons(model, pa.concat_tables(test), 1)
    alerts = simulated_table(2, _SPEED_ALERTS)
    of_simulated = OutlierModel.fit(simulated_table(1, _SPEED_ALERTS), survey="ztf", seed=1)
    rates = reasons.speed(of_simulated, alerts)
    _print("Reasons, on the public nights; speed, on simulated alerts", "")
    sys.stdout.write(report.reasons_text(found, rates) + "\n")
    return {"reasons": found, "speed": rates}


def _plot(nights: Mapping[str, pa.Table], event: pa.Table, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = WHOLE_NIGHTS[1]
    others = [table for other, table in nights.items() if other != name]
    model = OutlierModel.fit(pa.concat_tables(others), survey="ztf", seed=1)
    plot_scores(
        detection.score_of(model, nights[name]),
        detection.score_of(model, event),
        folder / "scores.png",
    )
    p_values = {}
    for each in WHOLE_NIGHTS:
        rest = pa.concat_tables([table for other, table in nights.items() if other != each])
        model = OutlierModel.fit(rest, survey="ztf", seed=1)
        scores = detection.score_of(model, nights[each])
        p_values[each] = public.own_p_values(scores, np.random.default_rng(1))
    plot_calibration(p_values, folder / "calibration.png")


def _print(title: str, text: str) -> None:
    sys.stdout.write(f"\n{title}\n\n{text}{chr(10) if text else ''}")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    """Return values as JSON has them; NaN becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _parts(text: str) -> list[str]:
    chosen = text.split(",")
    for name in chosen:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(PARTS)}")
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.outliers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add: Callable[..., Any] = parser.add_argument
    add("--parts", type=_parts, default=list(PARTS), metavar="A,B", help=", ".join(PARTS))
    add("--seeds", type=int, default=5, metavar="N", help="1 to N (%(default)s)")
    add("--nights", type=int, default=90, metavar="N", help="of the sky (%(default)s)")
    add("--alerts-per-visit", type=int, default=250, metavar="N", help="(%(default)s)")
    add("--strange", type=float, default=1.0, metavar="PERCENT", help="of alerts (%(default)s)")
    add(
        "--data",
        type=Path,
        default=Path(os.environ.get("FINKRAY_TEST_DATA", _BESIDE)),
        metavar="FOLDER",
        help="the public test data (FINKRAY_TEST_DATA)",
    )
    add("--json", type=Path, metavar="FILE", help="write everything there too")
    add("--plots", type=Path, metavar="FOLDER", help="write plots there, as PNG")
    return parser


_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"

if __name__ == "__main__":
    sys.exit(main())
