"""What `finkray filter check` says of a filter, for people and for programs."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from finkray.errors import FilterError
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.checking import CheckedFilter, ReadColumns
from finkray.streamout.filter_file import filter_of_text
from finkray.streamout.trial import Trial

CHECKED = CheckedFilter(
    filter_of_text("bright.toml", 'about = "Bright."\nsql = "magpsf < 17"\nneeds = ["classify"]\n'),
    (ReadColumns("ztf", ("candidate.magpsf",), ()), ReadColumns("lsst", (), ("magpsf",))),
    80 * 2**20,
    Trial("bright", alerts=200, passed=40, not_judged=Counter({"needs classify": 3}), seconds=0.1),
)


def test_it_says_what_the_filter_reads_costs_and_passes() -> None:
    name, *lines = CHECKED.lines(StreamoutSettings())
    assert name.startswith("bright ")
    assert name.endswith(": Bright.")
    assert lines[:6] == [
        "  alerts of ztf: reads candidate.magpsf",
        "  alerts of lsst: reads nothing; not judged, they lack magpsf",
        "  needs results of classify",
        "  its process takes 80 MiB",
        "  40 of the last 200 alerts pass (20.00%), 2,000 alerts/s",
        "  not judged, 3: needs classify",
    ]
    assert "more than 10% pass" in lines[6]


def test_a_program_gets_the_same() -> None:
    found = json.loads(json.dumps(CHECKED.to_json()))
    assert (found["filter"], found["memory_bytes"]) == ("bright", 80 * 2**20)
    assert found["columns"][1] == {"survey": "lsst", "reads": [], "lacks": ["magpsf"]}
    assert (found["recent"]["passed"], found["recent"]["not_judged"]) == (40, {"needs classify": 3})


def test_a_filter_that_fails_at_every_alert_is_refused_with_its_reason() -> None:
    CHECKED.refuse_failure()
    failed = Trial("bright", alerts=200, not_judged=Counter({"contract: it returned float32": 200}))
    with pytest.raises(FilterError, match="judged none of these alerts: contract: it returned"):
        replace(CHECKED, recent=failed).refuse_failure()
