"""What other users of the machine can reach of a local Ray that runs."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from jobs.cluster.local_ray import LocalRay

pytestmark = [pytest.mark.ray]

NOBODY = 65534

TRY_TO_ENTER = 'for path; do ls -d "$path/." && exit 1; done; exit 0'
"""For a shell: a Python of the tests may lie where another user cannot start it."""


def test_other_users_cannot_enter_the_home_of_ray(ray_cluster: LocalRay) -> None:
    assert stat.S_IMODE(ray_cluster.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(ray_cluster.token_file.stat().st_mode) == 0o600
    assert ray_cluster.folder.parent == ray_cluster.home
    assert ray_cluster.token_file.parent == ray_cluster.home
    if os.geteuid() == 0:  # another user alone can show that it is so
        inside = [ray_cluster.folder, ray_cluster.folder / "session_latest" / "sockets"]
        assert all(path.exists() for path in inside)
        tried = subprocess.run(
            ["/bin/sh", "-c", TRY_TO_ENTER, "sh", *map(str, inside)],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd=Path("/"),
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )
        assert tried.returncode == 0, f"open to others: {tried.stdout}"
        assert "Permission denied" in tried.stderr
