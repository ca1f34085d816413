"""The fixture `finkray`: a command run inside the test, without a process of its own."""

import os
import sys
from pathlib import Path

import pytest

from jobs.cli.main import main
from tests.support.commands import Answer, Finkray


@pytest.fixture
def finkray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Finkray:
    """Run a command in an empty folder with a state folder of its own; return its answer."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("FINKRAY", "RAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FINKRAY_STATE", str(tmp_path / "state"))

    def run(*words: str, **env: str) -> Answer:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["finkray", *words])
            for name, value in env.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        assert isinstance(code, int)
        return Answer(code, *capfd.readouterr())

    return run
