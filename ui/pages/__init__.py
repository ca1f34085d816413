"""The pages, one file each, in the order of the navigation.

A new page is one file with a `PAGE`, and its entry here. A new source is a key in
`ui.sources`, and its function in `jobs.daemons.page`.
"""

from typing import Final

from ui.kit.page import Page
from ui.pages import (
    archive,
    classification,
    http_api,
    live,
    one_object,
    out_streams,
    services,
    sky,
    tonight,
)

PAGES: Final[tuple[Page, ...]] = (
    live.PAGE,
    tonight.PAGE,
    one_object.PAGE,
    classification.PAGE,
    sky.PAGE,
    services.PAGE,
    out_streams.PAGE,
    archive.PAGE,
    http_api.PAGE,
)
