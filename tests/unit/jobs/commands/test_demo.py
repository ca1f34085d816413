"""The demo plays the packets of either survey on a topic of that survey."""

import io
from pathlib import Path

from rich.console import Console

from finkray.host.interrupt import Interrupts
from jobs.commands.demo import Demo, Options


def test_the_survey_of_the_packets_decides_the_topic(tmp_path: Path, test_data: Path) -> None:
    def survey(data: Path | None) -> str:
        options = Options(10, data, tmp_path / "archive")
        return Demo(options, Console(file=io.StringIO()), tmp_path, Interrupts()).survey

    assert survey(None) == "ztf"
    assert survey(test_data / "ztf" / "ztf_202002_kowalski_12.tar.xz") == "ztf"
    assert survey(test_data / "lsst" / "lsst_v3_hits2015_10.avro") == "lsst"
