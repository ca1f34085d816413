"""The table of a measurement, as text."""

from collections.abc import Mapping, Sequence

from bench.figures import Figures, median, spread
from bench.run import OURS, Chain

COLUMNS = (
    "chain",
    "alerts/s warm",
    "(lowest-highest)",
    f"{OURS} is",
    "MB/s warm",
    "alerts/s overall",
    "first after s",
    "CPU s/1000",
    "peak RSS MB",
    "kB/alert",
    "visit s",
)


def render(
    chains: Sequence[Chain],
    rounds: Mapping[str, Sequence[Figures]],
    visits_s: Mapping[str, float],
) -> str:
    """Return the table, one line a chain; a chain that failed has dashes."""
    ours = median(rounds[OURS]).warm_per_s if rounds.get(OURS) else None
    rows = [
        _row(chain.name, rounds.get(chain.name, ()), ours, visits_s.get(chain.name))
        for chain in chains
    ]
    return layout([COLUMNS, *rows])


def layout(rows: Sequence[tuple[str, ...]], left: int = 1) -> str:
    """Align rows, the first of them the headings; the first `left` columns are text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if index < left else text.rjust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(
    name: str, rounds: Sequence[Figures], ours: float | None, visit_s: float | None
) -> tuple[str, ...]:
    if not rounds:
        return (name, *["-"] * (len(COLUMNS) - 1))
    one, ends = median(rounds), spread(rounds)
    return (
        name,
        _number(one.warm_per_s),
        "-" if ends is None else f"({ends[0]:.0f}-{ends[1]:.0f})",
        "-" if ours is None or one.warm_per_s is None else f"{ours / one.warm_per_s:.2f} x",
        _number(one.warm_bytes_per_s and one.warm_bytes_per_s / 1e6),
        _number(one.overall_per_s),
        f"{one.first_s:.1f}",
        "-" if one.cpu_s_per_1000 is None else f"{one.cpu_s_per_1000:.2f}",
        _number(one.peak_rss_bytes / 1e6),
        f"{one.disk_bytes_per_alert / 1e3:.1f}",
        "-" if visit_s is None else f"{visit_s:.1f}",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
