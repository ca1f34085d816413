"""What every command of `finkray` works with."""

from dataclasses import dataclass
from pathlib import Path

from finkray.settings.model import Settings
from jobs.cluster.connect import Cluster, find_cluster
from jobs.commands.progress import Progress


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a command works with: its settings, the state folder, and the progress it shows."""

    settings: Settings
    state: Path
    progress: Progress

    def cluster(self) -> Cluster | None:
        """Return the cluster that the settings mean; None if it is our own and does not run."""
        return find_cluster(self.state, self.settings.ray)
