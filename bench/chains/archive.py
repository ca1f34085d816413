"""Our archive, as anybody runs it: a local Ray, and `python -m finkray.archive` on it.

How far it is stands in its ledger: an entry is what makes its claims durable, and the time
at which its file was made is the time of the commit.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.chains.job import Job, report
from finkray.ledger_entry import LOG_FOLDER, Entry
from finkray.settings import RaySettings
from jobs.local_ray import start_local_ray, stop_local_ray

_POLL_S = 0.1
_DRAIN_S = 60.0


def run(job: Job) -> None:
    """Archive the topic, then let the archive drain and take the Ray down again."""
    folder = Path(job.folder)
    state = folder / "state"
    state.mkdir(parents=True)
    config = folder / "finkray.toml"
    config.write_text(_settings(job), encoding="utf-8")
    ray = start_local_ray(state, RaySettings(local_dashboard_port=0))
    try:
        archive = subprocess.Popen(
            [sys.executable, "-m", "finkray.archive", "--config", str(config)],
            env={**os.environ, **ray.environment()},
        )
        try:
            _follow(job, archive)
        finally:
            archive.send_signal(signal.SIGTERM)
            archive.wait(_DRAIN_S)
    finally:
        stop_local_ray(state)


def _settings(job: Job) -> str:
    """Everything is left at its default that need not be said."""
    return (
        f'[kafka]\nbootstrap_servers = "{job.bootstrap_servers}"\ntopics = ["{job.topic}"]\n'
        f'[archive]\nuri = "{job.folder}/archive"\n'
        f"[ingest]\nactors = {job.cores}\n"
        f"[spark]\nexecutor_cores = {job.cores}\n"
        f"{_schemas(job)}"
        '[ray]\naddress = "auto"\n'
    )


def _schemas(job: Job) -> str:
    """Where the schema is found, if it is not in the messages."""
    match job.wire:
        case "container":
            return ""
        case "bare":
            return f"[packets.bare]\n'^{job.topic}$' = \"{job.schema_file}\"\n"
        case "frame":
            return f'[packets]\nschema_folder = "{Path(job.schema_file).parent}"\n'


def _follow(job: Job, archive: "subprocess.Popen[bytes]") -> None:
    log = Path(job.folder) / "archive" / LOG_FOLDER
    next_entry = done = 0
    while done < job.alerts:
        if archive.poll() is not None:
            raise RuntimeError(f"the archive ended with code {archive.returncode}")
        while (file := log / f"{next_entry:020d}.json").exists():
            entry = Entry.from_bytes(file.read_bytes(), next_entry)
            next_entry += 1
            if entry.claims:
                done += sum(claim.archived + claim.dead_lettered for claim in entry.claims)
                report(done, file.stat().st_mtime)
        time.sleep(_POLL_S)


if __name__ == "__main__":
    run(Job.from_command_line())
