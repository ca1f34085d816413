"""Who is asked what, and who is to blame."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.services.messages import Fault, Slice
from finkray.serving.dispatcher import (
    AbandonFile,
    AssignBatch,
    CompleteFile,
    Dispatcher,
    DispatcherSettings,
    RecordError,
)

SETTINGS = DispatcherSettings(
    batch_rows=8, breaker_failures=4, breaker_rest_s=10, breaker_longest_rest_s=40
)


@dataclass
class Night:
    """A service with guilty alerts and a clock, played against the core."""

    core: Dispatcher
    guilty: dict[tuple[str, int], Fault]
    broken_until_s: float = 0.0
    now_s: float = 0.0
    answered: list[tuple[str, int]] = field(default_factory=list)
    blamed: dict[tuple[str, int], Fault] = field(default_factory=dict)
    complete: list[str] = field(default_factory=list)
    asked: int = 0

    def play(self, kill: random.Random | None = None, steps: int = 100_000) -> None:
        """Until everything is complete."""
        at_work: list[AssignBatch] = []
        for _ in range(steps):
            for one in self.core.assign(self.now_s):
                assert isinstance(one, AssignBatch)
                at_work.append(one)
                self.asked += 1
            if not at_work:
                if not self.core.files:
                    return
                self.now_s += 1.0
                continue
            give = at_work.pop(0)
            lost = kill is not None and kill.random() < 0.3
            self._answer(give, "lost" if lost else self._fault(give))
            self.core.ready(give.worker)
        raise AssertionError("it never ends")

    def _fault(self, give: AssignBatch) -> Fault | None:
        if self.now_s < self.broken_until_s:
            return "raised"
        faults = [self.guilty.get(alert) for alert in _alerts(give.batch.slices)]
        return next((fault for fault in faults if fault is not None), None)

    def _answer(self, give: AssignBatch, fault: Fault | None) -> None:
        if fault is None:
            self.answered += _alerts(give.batch.slices)
            out = self.core.answered(give.worker, self.now_s)
        else:
            out = self.core.failed(give.worker, fault, "because", self.now_s)
        for one in out:
            if isinstance(one, RecordError):
                (alert,) = _alerts((one.alert,))
                assert alert not in self.blamed
                self.blamed[alert] = one.fault
            elif isinstance(one, CompleteFile):
                self.complete.append(one.file)


def _alerts(slices: tuple[Slice, ...]) -> list[tuple[str, int]]:
    return [(part.file, part.first_row + i) for part in slices for i in range(part.rows)]


def night(
    files: dict[str, int], guilty: dict[tuple[str, int], Fault] | None = None, workers: int = 2
) -> Night:
    core = Dispatcher(SETTINGS)
    core.add(files.items())
    for worker in range(workers):
        core.ready(worker)
    return Night(core, guilty or {})


FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["raised", "time", "memory", "died"])


@given(
    rows=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    picks=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 19), FAULTS), max_size=8),
    workers=st.integers(1, 4),
    seed=st.one_of(st.none(), st.integers(0, 1000)),
    broken_until_s=st.sampled_from([0.0, 25.0]),
)
def test_every_alert_is_answered_or_blamed_once_and_the_guilty_alone_are_blamed(
    rows: list[int],
    picks: list[tuple[int, int, Fault]],
    workers: int,
    seed: int | None,
    broken_until_s: float,
) -> None:
    files = {f"f{n}": count for n, count in enumerate(rows)}
    everything = {(file, row) for file, count in files.items() for row in range(count)}
    guilty = {(f"f{n}", row): fault for n, row, fault in picks if (f"f{n}", row) in everything}
    one = night(files, guilty, workers)
    # While all is broken nobody can tell the innocent: let it be broken only where none is alone.
    one.broken_until_s = broken_until_s if min(rows) > 16 else 0.0
    one.play(None if seed is None else random.Random(seed))
    assert sorted([*one.answered, *one.blamed]) == sorted(everything)
    assert set(one.blamed) >= set(guilty)
    if not one.broken_until_s:
        assert one.blamed == guilty
    assert sorted(one.complete) == sorted(files)


def test_small_files_share_a_batch_and_large_ones_are_cut() -> None:
    one = night({"a": 3, "b": 4, "c": 20}, workers=1)
    (first,) = one.core.assign(0.0)
    assert isinstance(first, AssignBatch)
    assert first.batch.slices == (Slice("a", 0, 3), Slice("b", 0, 4))
    one.core.answered(0, 0.0)
    one.core.ready(0)
    (second,) = one.core.assign(0.0)
    assert isinstance(second, AssignBatch)
    assert second.batch.slices == (Slice("c", 0, 8),)


def test_one_hanging_alert_costs_few_batches() -> None:
    one = night({"a": 8}, {("a", 5): "time"})
    one.play()
    assert one.blamed == {("a", 5): "time"}
    assert one.asked == 1 + 2 * 3


def test_a_batch_that_is_lost_with_its_actor_is_done_again_and_nobody_is_blamed() -> None:
    one = night({"a": 1}, workers=1)
    for _ in range(50):
        (give,) = one.core.assign(0.0)
        assert isinstance(give, AssignBatch)
        assert one.core.failed(0, "lost", "the node is gone", 0.0) == []
        one.core.ready(0)
    assert one.core.breaker == "closed"
    one.play()
    assert one.blamed == {}


def test_an_innocent_alert_whose_process_was_killed_twice_is_not_blamed() -> None:
    one = night({"a": 1}, workers=1)
    for _ in range(2):
        one.core.assign(0.0)
        assert one.core.failed(0, "died", "SIGKILL", 0.0) == []
        one.core.ready(0)
    one.play()
    assert one.answered == [("a", 0)]


def test_the_breaker_opens_after_repeated_failure_rests_longer_and_closes_again() -> None:
    one = night({f"f{n}": 8 for n in range(20)}, workers=1)
    core = one.core
    for _ in range(SETTINGS.breaker_failures):
        assert core.breaker == "closed"
        core.assign(0.0)
        core.failed(0, "raised", "ConnectionError", 0.0)
        core.ready(0)
    assert (core.breaker, core.last_fault) == ("open", "raised: ConnectionError")
    assert core.assign(9.9) == []
    (probe,) = core.assign(10.0)
    assert isinstance(probe, AssignBatch)
    assert probe.batch.slices[0].file == "f1"  # another than those that failed
    assert core.breaker == "half_open"
    core.failed(0, "raised", "ConnectionError", 10.0)
    core.ready(0)
    assert core.assign(29.9) == []  # twice as long
    core.assign(30.0)
    core.answered(0, 30.0)
    core.ready(0)
    assert core.breaker == "closed"
    one.play()
    assert one.blamed == {}
    assert core.opened == 2


def test_while_the_breaker_is_half_open_only_one_batch_is_out() -> None:
    one = night({f"f{n}": 8 for n in range(20)}, workers=3)
    core = one.core
    for _ in range(SETTINGS.breaker_failures):
        core.failed_to_start("no model", 0.0)
    assert len(core.assign(10.0)) == 1
    assert core.assign(10.0) == []


def test_a_service_that_cannot_be_set_up_opens_the_breaker_and_nobody_is_blamed() -> None:
    core = Dispatcher(SETTINGS)
    core.add([("a", 8)])
    for _ in range(SETTINGS.breaker_failures):
        core.failed_to_start("no model", 0.0)
    assert core.breaker == "open"
    assert not core.may_start(9.0)
    assert core.may_start(10.0)
    core.ready(0)
    core.assign(10.0)
    assert core.answered(0, 10.0) == [CompleteFile("a")]
    assert core.breaker == "closed"


def test_when_every_alert_there_is_is_guilty_it_goes_on_slowly_but_ends() -> None:
    one = night({"a": 8}, {("a", row): "raised" for row in range(8)})
    one.play()
    assert len(one.blamed) == 8
    assert one.core.opened >= 1


def test_a_file_that_cannot_be_read_is_left_to_the_audit_and_its_neighbours_are_served() -> None:
    one = night({"a": 3, "gone": 3, "b": 2}, workers=1)
    abandoned = []
    for _ in range(20):
        for give in one.core.assign(0.0):
            assert isinstance(give, AssignBatch)
            if any(part.file == "gone" for part in give.batch.slices):
                out = one.core.failed(0, "unreadable", "no such file", 0.0)
            else:
                out = one.core.answered(0, 0.0)
            abandoned += [did.file for did in out if isinstance(did, AbandonFile)]
            one.complete += [did.file for did in out if isinstance(did, CompleteFile)]
            one.core.ready(0)
    assert abandoned == ["gone"]
    assert sorted(one.complete) == ["a", "b"]
    assert one.core.files == 0
    assert one.core.breaker == "closed"


@pytest.mark.parametrize(("busy", "free"), [(True, False), (False, True)])
def test_a_worker_that_is_at_work_is_retired_after_it(*, busy: bool, free: bool) -> None:
    one = night({"a": 3} if busy else {}, workers=1)
    one.core.assign(0.0)
    assert one.core.retire(0) is free
