"""What the demo says while alerts come in, and at its end."""

from pathlib import Path

from rich.console import Console

from finkray.settings.model import Settings
from finkray.status.archive import Snapshot
from jobs.commands.audit import audit_now
from jobs.commands.render_audit import audit_text
from sim.play import Played


def live_line(snapshot: Snapshot) -> str:
    """One line with the rates as they are now."""
    held = snapshot.held_bytes / 2**20
    lag = snapshot.lag + snapshot.backlog
    return (
        f"taken in {snapshot.incoming_per_s:6.0f}/s   archived {snapshot.archived_per_s:6.0f}/s   "
        f"durable {snapshot.balance.archived:>8}   lag {lag:>6}   held {held:5.0f} MiB"
    )


def report(
    console: Console, settings: Settings, played: Played, last: Snapshot, took_s: float
) -> int:
    """Print the balance sheet, rates and latencies, and how to go on; the exit code."""
    audit = audit_now(settings)
    root = settings.archive.root
    console.print()
    console.print(f"Parquet database: {root / 'alerts'}", markup=False)
    console.print(audit_text(audit))
    rate = played.alerts / played.elapsed_s
    console.print(
        f"Rates: played {rate:.0f} alerts/s "
        f"({played.size_bytes / played.elapsed_s / 1e6:.0f} MB/s), "
        f"archived at best {max(point.archived_per_s for point in last.history):.0f} alerts/s"
    )
    for stage in last.latency:
        console.print(
            f"Latency, Kafka timestamp to {stage.stage:8}: "
            f"p50 {stage.p50_s:6.2f} s   p95 {stage.p95_s:6.2f} s   p99 {stage.p99_s:6.2f} s"
        )
    console.print(f"All of it took {took_s:.0f} s. Look into the data:")
    console.print(f"  {look(root)}", markup=False)
    return audit.exit_code


def look(root: Path) -> str:
    """One line to paste, that shows the brightest alerts."""
    code = (
        f"import finkray; d = finkray.open_archive('{root}').dataset(); "
        "t = d.to_table(columns=['objectId', 'candid', 'candidate', 'kafka_timestamp']); "
        "print(t.num_rows, 'alerts'); print(t.slice(0, 3).to_pandas())"
    )
    return f'.venv/bin/python -c "{code}"'
