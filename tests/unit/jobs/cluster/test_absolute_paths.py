from pathlib import Path

import pytest

from finkray.settings.model import load
from jobs.cluster.absolute_paths import placed
from jobs.cluster.connect import Cluster


def test_places_mean_the_same_wherever_a_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = {
        "archive": {"uri": "night"},
        "kafka": {"sasl_username": "me", "sasl_password_file": "secret"},
        "catalogs": {"folder": "sky"},
        "simulator": {"data": "packets.tar", "manifest": "played"},
    }
    settings = placed(load(None, {}, overrides), Cluster("127.0.0.1:6379"))
    monkeypatch.chdir("/")
    assert settings.archive.uri == str(tmp_path / "night")
    assert settings.kafka.sasl_password_file == str(tmp_path / "secret")
    assert settings.catalogs.folder == str(tmp_path / "sky")
    assert settings.simulator.data == str(tmp_path / "packets.tar")
    assert settings.simulator.manifest == str(tmp_path / "played")
    assert settings.simulator.schema_folder == ""
    assert settings.ray.address == "127.0.0.1:6379"
    assert settings.ray.working_dir == ""
