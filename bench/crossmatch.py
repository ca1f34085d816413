"""`python -m bench.crossmatch`: measure the cross-match beside astropy's, in one run.

Made-up sources are built into a catalogue as any other. Batches of alerts are then looked up in
these ways in turn, so that a slow phase of the machine affects all of them:

ours            `actors.crossmatch.match`: shards within the memory limit, answers as a table
astropy         `match_coordinates_sky`, the catalogue in memory and its tree built before
bare k-d tree   scipy's, of unit vectors, bounded by the radius: no separations, no answers

Alerts come as exposures do, 47 square degrees at a time, three batches each, or from all over the
sky, which is the worst for a catalogue that does not fit into memory. Half of them lie near a
source. If astropy's matches within the radius are not the same as ours, the exit code is 1.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.crossmatch import match
from bench.options import working_folder
from catalogs.build import build
from catalogs.catalog import Catalog, Catalogs
from catalogs.description import Description
from catalogs.store import CatalogStore

RADIUS_ARCSEC = 1.5
FIELD_DEG = 47**0.5
BATCHES_A_FIELD = 3
CHUNK = 1_000_000

Sky = tuple[np.ndarray, np.ndarray]
Way = Callable[[Sky], int]


@dataclass
class Timing:
    """The time of one way to look alerts up, and the matches that it found.

    Attributes
    ----------
    wall_s, cpu_s
        time of each batch
    matches
        alerts with a source within the radius, all batches together
    """

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    matches: int = 0

    def run(self, way: Way, alerts: Sky) -> None:
        """Time one batch."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.matches += way(alerts)
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.process_time() - cpu)

    def figures(self, rows: int) -> dict[str, float]:
        """Return alerts per second of CPU time, and the 99th percentile of a batch in ms."""
        return {
            "alerts_per_core_s": rows * len(self.cpu_s) / max(sum(self.cpu_s), 1e-9),
            "p50_ms": 1000 * float(np.percentile(self.wall_s, 50)),
            "p99_ms": 1000 * float(np.percentile(self.wall_s, 99)),
            "matches": self.matches,
        }


@dataclass(frozen=True)
class Measured:
    """The figures of one catalogue and one pattern of alerts on the sky."""

    sources: int
    alerts: str
    build_s: float
    catalog_peak_bytes: int
    catalog_limit_bytes: int
    shards_read: int
    shards_found: int
    rss_bytes: int
    ways: dict[str, dict[str, float]]


def uniform(rng: np.random.Generator, count: int) -> Sky:
    """Return random positions all over the sky, in degrees."""
    return rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))


def write_sources(path: Path, count: int, seed: int) -> None:
    """Write sources all over the sky: an id, a position, a magnitude."""
    rng = np.random.default_rng(seed)
    writer: pq.ParquetWriter | None = None
    for first in range(0, count, CHUNK):
        rows = min(CHUNK, count - first)
        ra, dec = uniform(rng, rows)
        mag = rng.uniform(10, 21, rows).astype(np.float32)
        table = pa.table({"id": np.arange(first, first + rows), "ra": ra, "dec": dec, "mag": mag})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def describe(path: Path, count: int) -> Description:
    """Describe the catalogue of this many sources."""
    return Description.model_validate(
        {
            "catalog": {
                "name": f"made{count}",
                "version": "1",
                "radius_arcsec": RADIUS_ARCSEC,
                "id": "id",
                "columns": ["mag"],
            },
            "source": {"path": str(path)},
            "position": {"ra": "ra", "dec": "dec"},
        }
    )


def batches(
    kind: str, sources: Sky, count: int, rows: int, rng: np.random.Generator
) -> Iterator[Sky]:
    """Yield batches of alerts, half of them within 2 arcsec of a source."""
    for number in range(count):
        if kind == "sky":
            ra, dec = uniform(rng, rows)
            near = rng.integers(0, len(sources[0]), rows // 2)
        else:
            if number % BATCHES_A_FIELD == 0:
                corner = rng.uniform(0, 360 - 3 * FIELD_DEG), rng.uniform(-60, 60)
                inside = _inside(sources, corner)
            width = FIELD_DEG / np.cos(np.radians(corner[1]))
            ra = corner[0] + rng.uniform(0, width, rows)
            dec = corner[1] + rng.uniform(0, FIELD_DEG, rows)
            near = rng.choice(inside, rows // 2) if len(inside) else np.empty(0, np.int64)
        ra[: len(near)] = sources[0][near]
        dec[: len(near)] = np.clip(
            sources[1][near] + rng.uniform(-2, 2, len(near)) / 3600, -90.0, 90.0
        )
        yield ra, dec


def _inside(sources: Sky, corner: tuple[float, float]) -> np.ndarray:
    ra, dec = sources
    width = FIELD_DEG / np.cos(np.radians(corner[1]))
    here = (dec > corner[1]) & (dec < corner[1] + FIELD_DEG)
    return np.flatnonzero(here & (ra > corner[0]) & (ra < corner[0] + width))


def ours(catalog: Catalog) -> Way:
    """Return the look-up of finkray."""

    def look_up(alerts: Sky) -> int:
        answer = match(pa.table({"ra_deg": alerts[0], "dec_deg": alerts[1]}), catalog)
        return int(pc.sum(pc.equal(answer["status"], "match")).as_py())

    return look_up


def astropy_way(sources: Sky) -> Way:
    """Return the look-up of astropy, with its tree already built."""
    from astropy.coordinates import SkyCoord, match_coordinates_sky

    catalog = SkyCoord(*sources, unit="deg")
    match_coordinates_sky(SkyCoord([0.0], [0.0], unit="deg"), catalog)

    def look_up(alerts: Sky) -> int:
        _, apart, _ = match_coordinates_sky(SkyCoord(*alerts, unit="deg"), catalog)
        return int(np.sum(apart.arcsec <= RADIUS_ARCSEC))

    return look_up


def bare_tree(sources: Sky) -> Way:
    """Return the look-up in a bare k-d tree of scipy."""
    from scipy.spatial import cKDTree

    tree = cKDTree(_unit_vectors(sources))
    chord = 2 * np.sin(np.radians(RADIUS_ARCSEC / 3600) / 2)

    def look_up(alerts: Sky) -> int:
        away, _ = tree.query(_unit_vectors(alerts), distance_upper_bound=chord)
        return int(np.sum(np.isfinite(away)))

    return look_up


def _unit_vectors(sky: Sky) -> np.ndarray:
    ra, dec = np.radians(sky[0]), np.radians(sky[1])
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def measure(options: argparse.Namespace, folder: Path, count: int) -> list[Measured]:
    """Build a catalogue of this many sources, and time each way on it."""
    source = folder / f"{count}.parquet"
    write_sources(source, count, options.seed)
    store = CatalogStore(folder / "store")
    description = describe(source, count)
    store.add(description)
    began = time.perf_counter()
    build(store, description, lambda text: _tell(f"{count:,} sources: {text}"))
    build_s = time.perf_counter() - began
    table = pq.read_table(source, columns=["ra", "dec"])
    sources = table["ra"].to_numpy(), table["dec"].to_numpy()
    del table
    beside: dict[str, Way] = {}
    if count <= options.astropy_up_to:
        beside = {"astropy": astropy_way(sources), "bare k-d tree": bare_tree(sources)}
    measured = []
    for kind in options.alerts:
        catalogs = Catalogs(store.folder, options.memory_bytes)
        ways = {"ours": ours(catalogs.current(f"made{count}")), **beside}
        # A catalogue that does not fit into memory is read for each batch: few batches suffice.
        fits = kind == "exposures" or bool(beside)
        todo = options.batches if fits else max(1, options.batches // 20)
        rng = np.random.default_rng(options.seed + 1)
        timings = {name: Timing() for name in ways}
        for number, alerts in enumerate(batches(kind, sources, todo, options.rows, rng)):
            for name, way in ways.items():
                timings[name].run(way, alerts)
            _tell(f"{count:,} sources, {kind}: batch {number + 1} of {todo}")
        figures = {name: timing.figures(options.rows) for name, timing in timings.items()}
        use, rss_bytes = catalogs.memory.use, psutil.Process().memory_info().rss
        limit = options.memory_bytes
        measured.append(
            Measured(
                sources=count,
                alerts=kind,
                build_s=build_s,
                catalog_peak_bytes=use.peak_bytes,
                catalog_limit_bytes=limit,
                shards_read=use.loads,
                shards_found=use.hits,
                rss_bytes=rss_bytes,
                ways=figures,
            )
        )
    return measured


def faults(measured: Sequence[Measured]) -> list[str]:
    """List what is wrong: matches that differ from astropy's, memory above the limit."""
    found = []
    for result in measured:
        mine = result.ways["ours"]["matches"]
        for name, figures in result.ways.items():
            if figures["matches"] != mine:
                found.append(
                    f"{result.sources:,} sources, {result.alerts}: {mine:.0f} matches, "
                    f"{figures['matches']:.0f} of {name}"
                )
        if result.catalog_peak_bytes > result.catalog_limit_bytes:
            found.append(
                f"{result.sources:,} sources: {result.catalog_peak_bytes:,} bytes of catalogue"
            )
    return found


def render(measured: Sequence[Measured]) -> str:
    """Return the table as text."""
    head = f"{'sources':>10}  {'alerts':<10} {'way':<14} {'alerts/s a core':>15} "
    head += f"{'p50 ms':>8} {'p99 ms':>8} {'ours is':>8} {'catalogue MB':>13}"
    lines = [head]
    for result in measured:
        mine = result.ways["ours"]["alerts_per_core_s"]
        for name, figures in result.ways.items():
            memory = f"{result.catalog_peak_bytes / 1e6:.0f}" if name == "ours" else ""
            lines.append(
                f"{result.sources:>10,}  {result.alerts:<10} {name:<14} "
                f"{figures['alerts_per_core_s']:>15,.0f} {figures['p50_ms']:>8.1f} "
                f"{figures['p99_ms']:>8.1f} {mine / figures['alerts_per_core_s']:>7.1f}x "
                f"{memory:>13}"
            )
    return "\n".join(lines)


def _tell(text: str) -> None:
    end = "\r" if sys.stderr.isatty() else ""
    if end:
        sys.stderr.write(f"\x1b[2K{text}{end}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if astropy disagrees."""
    options = _parser().parse_args(arguments)
    with working_folder("crossmatch", options.folder) as folder:
        measured = [
            result for count in options.sources for result in measure(options, folder, count)
        ]
    print(render(measured))
    if options.json:
        report = {"cores": os.cpu_count(), "measured": [asdict(result) for result in measured]}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    found = faults(measured)
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.crossmatch", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--sources", type=int, nargs="+", default=[1_000_000, 20_000_000], metavar="N")
    add("--alerts", nargs="+", choices=["exposures", "sky"], default=["exposures", "sky"])
    add("--batches", type=int, default=300, help="batches of each pattern (%(default)s)")
    add("--rows", type=int, default=1000, help="alerts in a batch (%(default)s)")
    add(
        "--memory-bytes",
        type=int,
        default=500_000_000,
        help="bound of the shards in memory (%(default)s)",
    )
    add(
        "--astropy-up-to",
        type=int,
        default=1_000_000,
        metavar="N",
        help="most sources (%(default)s)",
    )
    add("--seed", type=int, default=1)
    add("--folder", type=Path, help="folder of the catalogues; default: a temporary one")
    add("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
