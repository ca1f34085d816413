"""The lines of `finkray status --check`."""

from datetime import timedelta

from finkray.status.archive import Alarm, BalanceSheet
from finkray.status.at_rest import ArchiveAtRest
from jobs.cluster.started_jobs import StartedJob
from jobs.cluster.unexpected_ends import EndedJob
from jobs.commands.status_troubles import troubles
from tests.support.snapshots import NIGHT, STREAMOUT, busy_night


def test_a_check_names_each_trouble_and_none_of_a_good_night() -> None:
    assert troubles(busy_night(), NIGHT) == ()
    alarm = Alarm(code="STORAGE", since=NIGHT, message="no room", what_to_do="make room")
    lost = BalanceSheet(received=10, archived=7)
    ended = [EndedJob(StartedJob(name="ui", job_id="ui-1", started_at=NIGHT), None)]
    found = troubles(busy_night(alarms=(alarm,), balance=lost), NIGHT, ended=ended)
    assert found == (
        "job ui ended without being stopped",
        "alarm STORAGE: no room",
        "difference: 3 offsets",
    )
    assert troubles(None, NIGHT, at_rest=ArchiveAtRest("died")) == ("archive: died",)
    late = troubles(busy_night(), NIGHT + timedelta(minutes=5))
    assert late == ("archive: no report from the archive for 5 min 0 s",)
    starting = troubles(busy_night(state="starting"), NIGHT)
    assert starting == ("archive: starting",)


def test_alarms_of_streaming_out_are_troubles_too() -> None:
    found = troubles(busy_night(), NIGHT, streamout=STREAMOUT["FILTER_RESTS"])
    assert "alarm FILTER_RESTS: " in "\n".join(found)
