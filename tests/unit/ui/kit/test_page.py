"""What a page is built with."""

import pytest

from ui.kit.live import LiveContents
from ui.kit.page import PageInputs
from ui.pages import PAGES
from ui.sources import Sources


@pytest.mark.parametrize(
    ("root_path", "headers", "url"),
    [
        ("", {"host": "127.0.0.1:5000"}, "http://127.0.0.1:5000/"),
        ("/finkray", {"host": "obs.example.org"}, "http://obs.example.org/finkray/"),
        (
            "/finkray",
            {"host": "obs.example.org", "x-forwarded-proto": "https, http"},
            "https://obs.example.org/finkray/",
        ),
        (
            "",
            {"host": "127.0.0.1:5000", "x-forwarded-host": "obs.example.org, inner"},
            "http://obs.example.org/",
        ),
        ("", {"host": "localhost", "x-forwarded-proto": "gopher"}, "http://localhost/"),
    ],
)
def test_the_lines_for_programs_name_the_address_at_which_a_viewer_is(
    root_path: str, headers: dict[str, str], url: str
) -> None:
    inputs = PageInputs(PAGES[0], Sources(), {}, 1.0, LiveContents(), root_path)
    assert inputs.base_url(headers) == url
