"""finkray's archive, as users run it.

Its progress is read from its ledger: an entry makes its claims durable, and the time at which the
file of the entry got its name, when all of it was on disk, is the time of the commit.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.chains.chain_run import ChainRun, Wire, report
from bench.running import RunningArchive, running_archive
from finkray.ledger.entry import LOG_FOLDER, Entry

_POLL_S = 0.1


def run(chain_run: ChainRun) -> None:
    """Archive the topic, let the archive drain, and stop its Ray."""
    settings = settings_for(
        chain_run.bootstrap_servers,
        chain_run.topic,
        chain_run.wire,
        Path(chain_run.schema_file),
        chain_run.cores,
        ingest=chain_run.ingest,
    )
    with running_archive(Path(chain_run.folder), settings) as archive:
        _follow(chain_run, archive)


def settings_for(
    bootstrap_servers: str,
    topic: str,
    wire: Wire,
    schema_file: Path,
    cores: int,
    *,
    ingest: Mapping[str, Any] | None = None,
) -> str:
    """Return settings of the archive, with defaults where possible."""
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (ingest or {}).items())
    return (
        f'[kafka]\nbootstrap_servers = "{bootstrap_servers}"\ntopics = ["{topic}"]\n'
        f"[ingest]\n{lines}"
        f"[spark]\nexecutor_cores = {cores}\n"
        f"{_schemas(topic, wire, schema_file)}"
    )


def _schemas(topic: str, wire: Wire, schema_file: Path) -> str:
    """Return the settings of the schema, if the messages do not bring it."""
    match wire:
        case "container":
            return ""
        case "bare":
            return f"[packets.bare]\n'^{topic}$' = \"{schema_file}\"\n"
        case "frame":
            return f'[packets]\nschema_folder = "{schema_file.parent}"\n'


def _follow(chain_run: ChainRun, archive: RunningArchive) -> None:
    log = archive.root / LOG_FOLDER
    next_entry = done = 0
    while done < chain_run.alerts:
        if archive.process.poll() is not None:
            raise RuntimeError(
                f"the archive ended with code {archive.process.returncode}. The end of its log:\n"
                + archive.log.read_text(errors="replace")[-3000:]
            )
        while (file := log / f"{next_entry:020d}.json").exists():
            entry = Entry.from_bytes(file.read_bytes(), next_entry)
            next_entry += 1
            if entry.claims:
                done += sum(claim.archived + claim.dead_lettered for claim in entry.claims)
                report(done, file.stat().st_ctime)
        time.sleep(_POLL_S)


if __name__ == "__main__":
    run(ChainRun.from_command_line())
