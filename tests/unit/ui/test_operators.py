import pytest

from ui.operators import operator_refusal


@pytest.mark.parametrize(
    ("user", "operators", "refusal"),
    [
        ("alice", {"alice"}, ""),
        ("bob", {"alice"}, "bob may not change filters: ui.operators does not name this user"),
        ("alice", set(), "the page changes no filters: ui.operators names nobody"),
        (
            None,
            {"alice"},
            "the page changes no filters: it asks for no sign-in (ui.password_file)",
        ),
    ],
)
def test_only_a_signed_in_operator_changes_filters(
    user: str | None, operators: set[str], refusal: str
) -> None:
    assert operator_refusal(user, operators) == refusal
