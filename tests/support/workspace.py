"""A folder with its own state folder, and the `finkray` command line run in it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from finkray.host.ports import free_ports
from tests.support.commands import finkray


@dataclass(frozen=True)
class Workspace:
    """A folder, and the environment in which commands run there.

    Its settings name a free port for the page, a small local Ray, and a password `hunter2`
    that no process of a user and no output may show.
    """

    folder: Path
    env: dict[str, str]

    @property
    def state(self) -> Path:
        """The state folder of `finkray`."""
        return self.folder / "state"

    @property
    def port(self) -> int:
        """The port of the page."""
        return int(self.env["FINKRAY__UI__PORT"])

    def command(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run `finkray` with these words, and wait until it ends."""
        return finkray(*words, folder=self.folder, environment={**self.env, **env})

    def with_env(self, **env: str) -> "Workspace":
        """Return the same workspace with more environment variables."""
        return Workspace(self.folder, {**self.env, **env})


def make_workspace(folder: Path) -> Workspace:
    """Make a workspace in `folder`, free of the environment variables of finkray and Ray."""
    ours = ("FINKRAY", "RAY_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    settings = {
        "FINKRAY_STATE": str(folder / "state"),
        "FINKRAY__UI__PORT": str(free_ports(1)[0]),
        "FINKRAY__RAY__LOCAL_DASHBOARD_PORT": "0",
        "FINKRAY__RAY__LOCAL_OBJECT_STORE_BYTES": "128 MiB",
        "FINKRAY__KAFKA__SASL_USERNAME": "me",
        "FINKRAY__KAFKA__SASL_PASSWORD": "hunter2",
        "FINKRAY__KAFKA__OPTIONS": '{"ssl.key.password": "hunter2"}',
    }
    return Workspace(folder, {**env, **settings})
