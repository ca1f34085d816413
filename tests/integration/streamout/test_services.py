"""Filters wait for results of services, and what comes late is sent as an amendment."""

from contextlib import closing

import pytest

from finkray.streamout.balance import balances
from finkray.streamout.engine import Streamout
from finkray.streamout.published import FilterStore
from finkray.streamout.sender import read_out_ledger
from tests.support.archiving import wait_until
from tests.support.services import Double
from tests.support.serving import serve
from tests.support.streaming_out import BRIGHT, EVEN, OutStream, run_to_end

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


def test_results_of_services_are_waited_for_and_sent_with_status_and_version(
    out: OutStream, packets: list[bytes]
) -> None:
    serve(out.archive, service=Double(), into="double")
    out.publish("even", EVEN)
    out.archive.put("ztf", packets)
    settings = out.settings.model_copy(update={"needs_s": 3600.0})
    with closing(Streamout(out.archive.storage, out.config, settings)) as patient:
        run_to_end(patient)
        assert patient.progress["even"].alerts == 0, "it waits"
        serve(out.archive, service=Double(), into="double")
        run_to_end(patient)
        passed = patient.progress["even"].passed
    alerts = out.alerts(out.topic("even"))
    assert len(alerts) == passed == 103
    for alert in alerts:
        answer = alert["finkray"]["services"]["double"]
        assert answer["double"] == 2 * alert["finkray"]["offset"]
        assert (answer["status"], answer["version"]) == ("ok", "1")
    out.archive.put("ztf", packets[:10])
    with closing(Streamout(out.archive.storage, out.config, out.settings)) as engine:
        wait_until(
            "the end of waiting", lambda: engine.step() or engine.progress["even"].not_judged
        )
        assert engine.progress["even"].not_judged == {"needs double": 10}

        serve(out.archive, service=Double(), into="double")

        def judged_late() -> int:
            run_to_end(engine)  # on a busy machine the filter may rest meanwhile
            return engine.progress["even"].judged_late

        wait_until("they are judged late", judged_late)
    done = read_out_ledger(out.config, out.settings.instance)
    late = done.progress["even"]
    assert (late.judged_late, late.not_judged, len(done.late)) == (10, {}, 0)
    assert not out.alerts(out.topic("even"), "amendment"), "nothing was sent of them before"
    assert len(out.sources(out.topic("even"))) == late.passed > 103
    assert not late.difference


def test_what_a_service_answers_after_an_alert_was_sent_follows_in_an_amendment(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    serve(out.archive, service=Double(), into="double")
    out.publish("bright", 'SENDS = ["double"]\n' + BRIGHT)
    out.publish("gone", 'SENDS = ["double"]\n' + BRIGHT.replace("bright", "gone"))
    out.archive.put("ztf", packets)
    run_to_end(engine)
    first = out.alerts(out.topic("bright"))
    assert {alert["finkray"]["services"]["double"] for alert in first} == {None}
    done = read_out_ledger(out.config, out.settings.instance)
    assert done.progress["bright"].awaiting == len(first) > 0
    filters = FilterStore(out.archive.storage).all()
    assert {each.problem for each in balances(out.archive.storage, filters, done)} == {""}
    done.progress["bright"].incomplete += 1
    done.progress["bright"].awaiting += 1
    (problem,) = [each.problem for each in balances(out.archive.storage, filters, done)[:1]]
    assert problem == "1 alerts that await answers are not accounted for"
    FilterStore(out.archive.storage).set_state("gone", "retired")

    serve(out.archive, service=Double(), into="double")
    later = Streamout(out.archive.storage, out.config, out.settings)
    try:
        run_to_end(later)
        run_to_end(later)
    finally:
        later.close()
    amendments = out.alerts(out.topic("bright"), "amendment")
    assert out.alerts(out.topic("bright")) == first
    assert len(amendments) == len(first)
    place = {alert["finkray"]["offset"]: alert for alert in first}
    for amendment in amendments:
        about = amendment["finkray"]
        assert about["services"]["double"]["double"] == 2 * about["offset"]
        assert amendment["candidate"] == place[about["offset"]]["candidate"]
    done = read_out_ledger(out.config, out.settings.instance)
    bright, gone = done.progress["bright"], done.progress["gone"]
    assert (bright.completed, bright.awaiting, bright.amendments) == (len(first), 0, len(first))
    assert (gone.lapsed, gone.amendments, len(done.late)) == (len(first), 0, 0)
    assert not bright.difference + gone.difference
