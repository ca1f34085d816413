"""What the address of the page Tonight chooses, and what its list says."""

import pytest

from ui.pages.tonight import TonightChoice, list_table


@pytest.mark.parametrize(
    ("query", "choice"),
    [
        ({}, TonightChoice("outliers")),
        ({"night": "2026-11-23"}, TonightChoice("outliers", night="2026-11-23")),
        ({"night": "2026-11-23' OR 1"}, TonightChoice("outliers")),
        ({"order": "bright", "night": "2026-11-23"}, TonightChoice("bright")),
        ({"order": "strange", "class": "QSO"}, TonightChoice("outliers", "QSO")),
    ],
)
def test_the_address_chooses_order_class_and_of_outliers_a_night(
    query: dict[str, str], choice: TonightChoice
) -> None:
    assert TonightChoice.of(query) == choice


def test_the_list_of_outliers_says_of_which_night_it_is() -> None:
    row = {"object_id": "ZTF1", "night": "2026-11-23", "score": 1.5, "reasons": []}
    of_night = list_table([row], TonightChoice("outliers"))
    assert of_night.title.startswith("outliers of 2026-11-23: the strangest alerts of the night")
    nothing = list_table([], TonightChoice("outliers", night="2026-11-22"))
    assert nothing.title.startswith("outliers of 2026-11-22: ")
    assert nothing.empty == "no alert of the night is one"
    assert list_table([], TonightChoice("bright")).title.startswith("bright: the newest hours")
