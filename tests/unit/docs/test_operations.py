"""docs/operations.md is what the person on shift has at 3 a.m.: it must not be wrong."""

import re
from pathlib import Path
from typing import get_args

import pytest

from finkray.audit.report import FileProblem
from finkray.host.exit_codes import COMMAND_EXITS, DAEMON_EXITS
from finkray.monitor.alarm_rules import alarms_of
from finkray.monitor.alarms import WHAT_TO_DO as ALARMS
from finkray.monitor.streamout_alarms import WHAT_TO_DO as STREAMOUT_ALARMS
from finkray.monitor.streamout_alarms import streamout_alarms
from finkray.settings.model import Settings
from jobs.commands.render_audit import WHAT_TO_DO
from tests.support.alarm_facts import FACTS
from tests.support.snapshots import FILTER, NIGHT, STREAMOUT

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()


def sections(title: str = "Alarms") -> dict[str, str]:
    """The sections about alarms, by code."""
    alarms = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    titles = re.split(r"^### (.+)$", alarms, flags=re.MULTILINE)[1:]
    return dict(zip(titles[::2], titles[1::2], strict=True))


def test_each_alarm_has_a_section_and_no_other_has() -> None:
    assert list(sections()) == list(ALARMS)


@pytest.mark.parametrize("code", ALARMS)
def test_a_section_shows_the_alarm_as_status_does_and_says_what_to_do(code: str) -> None:
    section = sections()[code]
    assert f"\n    ALARM {code} …: {alarms_of(FACTS[code])[code]}\n" in section
    assert "\n- " in section


@pytest.mark.parametrize("code", STREAMOUT_ALARMS)
def test_a_section_shows_each_alarm_of_streaming_out(code: str) -> None:
    found = sections("Alarms of streaming out")
    assert list(found) == list(STREAMOUT_ALARMS)
    alarms = streamout_alarms(STREAMOUT[code], NIGHT)
    (alarm,) = alarms
    assert f"\n    ALARM {code}: {alarm.message}\n" in found[code]
    assert alarm.what_to_do == STREAMOUT_ALARMS[code]
    assert "\n- " in found[code]


def test_streaming_out_that_is_well_raises_no_alarm() -> None:
    well = STREAMOUT["STREAMOUT_BEHIND"].model_copy(update={"filters": (FILTER,)})
    assert streamout_alarms(well, NIGHT) == ()


def test_the_exit_codes_are_those_of_the_code() -> None:
    section = PAGE.split("\n## Exit codes\n")[1].split("\n## ")[0]
    commands, daemons = section.split("\n**Daemons**")
    for text, table in ((commands, COMMAND_EXITS), (daemons, DAEMON_EXITS)):
        rows = re.findall(r"^\| (\d+) \| (.+) \|$", text, flags=re.MULTILINE)
        assert rows == [(str(int(code)), meaning) for code, meaning in table.items()]


def test_each_kind_of_trouble_that_an_audit_finds_is_explained() -> None:
    section = PAGE.split("\n## When the audit is not balanced\n")[1].split("\n## ")[0]
    assert re.findall(r"^- \*\*(.+?)\*\*:", section, flags=re.MULTILINE) == list(WHAT_TO_DO)
    assert set(get_args(FileProblem)) <= set(WHAT_TO_DO)


def test_every_setting_that_it_names_is_one() -> None:
    named = set(re.findall(r"`(kafka|packets|archive|ingest|spark|ray)\.([a-z_]+)`", PAGE))
    assert len(named) > 8
    model = {
        (section, key)
        for section, field in Settings.model_fields.items()
        for key in getattr(field.annotation, "model_fields", ())
    }
    assert named <= model
