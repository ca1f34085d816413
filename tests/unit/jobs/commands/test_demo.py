"""The demo plays the packets of either survey on a topic of that survey."""

import io
from pathlib import Path

from rich.console import Console

from finkray.host.interrupt import Interrupts
from jobs.commands.demo import Demo, Options, unknown_schemas_hint
from tests.support.snapshots import busy_night


def test_the_survey_of_the_packets_decides_the_topic(tmp_path: Path, test_data: Path) -> None:
    def survey(data: Path | None) -> str:
        options = Options(10, data, tmp_path / "archive")
        return Demo(options, Console(file=io.StringIO()), tmp_path, Interrupts()).survey

    assert survey(None) == "ztf"
    assert survey(test_data / "ztf" / "ztf_202002_kowalski_12.tar.xz") == "ztf"
    assert survey(test_data / "lsst" / "lsst_v3_hits2015_10.avro") == "lsst"


def test_frames_whose_schemas_are_unknown_are_named_with_what_to_do() -> None:
    assert unknown_schemas_hint(busy_night(dead_letters_by_reason={"truncated": 1})) == ""
    hint = unknown_schemas_hint(busy_night(dead_letters_by_reason={"unknown_schema": 3}))
    assert hint.startswith("3 packets are frames")
    assert "--schemas FOLDER" in hint
