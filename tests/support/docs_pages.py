"""The files and commands that a page of docs/ tells its readers to make and to give."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "services.md"


def blocks(language: str, page: Path = PAGE) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def files(page: Path = PAGE) -> dict[str, str]:
    """Return the files that the page tells its readers to make, by name."""
    out: dict[str, str] = {}
    for block in blocks("python", page):
        name = block.splitlines()[0].removeprefix("# ").partition(",")[0]
        if name.endswith(".py"):
            out[name] = out.get(name, "") + "\n" + block
    return out


def commands(page: Path = PAGE, *, live: bool) -> list[str]:
    """Return the commands of the page; with `live` those that need Ray too."""
    lines = [line for block in blocks("sh", page) for line in block.splitlines() if line]
    on_ray = ("finkray start", "finkray status", "finkray stop")
    return [line for line in lines if live or not line.startswith(on_ray)]


def follow(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command of the page in that folder, as a reader does; returns what it prints."""
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def follower(page: Path, folder: Path) -> Callable[[str], str]:
    """Write the files of the page into a folder; return what runs its commands there."""
    for name, text in files(page).items():
        (folder / name).write_text(text)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FINKRAY_STATE": str(folder / "state"),
        "HOME": str(folder),
        "PYTHONPATH": str(CHECKOUT),
    }
    return lambda command: follow(command, folder, environment)


def spark_code() -> str:
    """Return the block with the join in Spark."""
    (block,) = [block for block in blocks("python") if block.startswith("# in Spark")]
    return block
