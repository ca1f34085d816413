"""What the address of the page Tonight chooses, and what its list says."""

import pytest

from ui.lookups.tonight import TonightChoice
from ui.pages.tonight import list_table


@pytest.mark.parametrize(
    ("query", "choice"),
    [
        ({}, TonightChoice("outliers")),
        ({"night": "2026-11-23"}, TonightChoice("outliers", night="2026-11-23")),
        ({"night": "2026-11-23' OR 1"}, TonightChoice("outliers")),
        ({"order": "bright", "night": "2026-11-23"}, TonightChoice("bright")),
        ({"order": "strange", "class": "QSO"}, TonightChoice("outliers", "QSO")),
        (
            {"survey": "lsst", "context": "transient-like"},
            TonightChoice("outliers", survey="lsst", context="transient-like"),
        ),
        ({"survey": "ptf", "context": "near"}, TonightChoice("outliers")),
        (
            {"order": "new", "survey": "ztf", "context": "galaxy"},
            TonightChoice("new", survey="ztf"),
        ),
    ],
)
def test_the_address_chooses_order_class_survey_and_of_outliers_night_and_context(
    query: dict[str, str], choice: TonightChoice
) -> None:
    assert TonightChoice.of(query) == choice


def test_the_list_of_outliers_says_of_which_night_it_is() -> None:
    row = {"object_id": "ZTF1", "night": "2026-11-23", "score": 1.5, "reasons": []}
    of_night = list_table([row], TonightChoice("outliers"))
    assert of_night.title.startswith("outliers of 2026-11-23: the strangest alerts of the night")
    nothing = list_table([], TonightChoice("outliers", night="2026-11-22"))
    assert nothing.title.startswith("outliers of 2026-11-22: ")
    assert nothing.empty == "none in this night"
    assert list_table([], TonightChoice("bright")).title.startswith("bright: the newest hours")


def test_a_list_of_outliers_says_in_which_context_each_is_and_its_rank_there() -> None:
    row = {"object_id": "ZTF1", "night": "2026-11-23", "score": 1.5, "reasons": []}
    row |= {"context": "galaxy", "p_context": 0.00123}
    choice = TonightChoice("outliers", survey="ztf", context="transient-like")
    table = list_table([row], choice)
    assert table.title.startswith("outliers of 2026-11-23, ztf, transient-like: the strangest")
    shown = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
    assert (shown["context"].text, shown["p in it"].text) == ("galaxy", "0.0012")
    bright = list_table([{"object_id": "ZTF1", "mag": 17.0}], TonightChoice("bright"))
    assert not {"context", "p in it"} & {column.name for column in bright.columns}
