"""The list of daemons is the only one: each entry can be started, recognised and stopped."""

import importlib
from pathlib import Path

import pytest

import jobs.daemons
from jobs.daemons.registry import DAEMONS, SHIPPED
from jobs.daemons.service import SERVICE


@pytest.mark.parametrize("daemon", [*DAEMONS.values(), SERVICE], ids=lambda daemon: daemon.name)
def test_the_module_of_each_daemon_has_a_main_and_its_description(daemon: object) -> None:
    module = importlib.import_module(daemon.module)  # type: ignore[attr-defined]
    assert callable(module.main)
    assert daemon.about  # type: ignore[attr-defined]


def test_each_module_of_the_folder_is_in_the_list() -> None:
    modules = {path.stem for path in Path(jobs.daemons.__file__).parent.glob("[!_]*.py")}
    listed = {daemon.module.rpartition(".")[2] for daemon in (*DAEMONS.values(), SERVICE)}
    helpers = {
        *("last_look", "page_facts", "page_operations"),
        *("registry", "streamout_report", "unsupervised"),
    }
    assert modules - helpers == listed


def test_no_name_means_two_things() -> None:
    assert set(DAEMONS).isdisjoint(SHIPPED)
    assert list(DAEMONS) == [daemon.name for daemon in DAEMONS.values()]
