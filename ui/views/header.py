"""The header of every page: the state of the archive in a word, the UTC clock, the search box."""

from datetime import datetime

from finkray.status.archive import Snapshot
from ui.kit.markup import escaped
from ui.kit.reading import Reading
from ui.views.archive import archive_banner


def header_html(reading: Reading[Snapshot] | None, now: datetime, *, searches: bool) -> str:
    """Return the header.

    Parameters
    ----------
    reading
        The last answer of the archive; None if this server does not read it.
    now
        The time.
    searches
        Whether this server looks into the archive.
    """
    state = ""
    if reading is not None:
        banner = archive_banner(reading, now)
        word = banner.headline.partition(";")[0]
        if reading.value is None and reading.problem is None:
            word = "no archive reports"
        state = f"<a class='fr-state fr-{banner.level}' href='.'>archive: {escaped(word)}</a>"
    search = (
        "<form class='fr-search' role='search' action='object' method='get'>"
        "<label for='fr-q'>Find an object</label>"
        "<input id='fr-q' name='q' type='search' maxlength='100' "
        "placeholder='object id, candid, diaSourceId, or RA Dec [arcsec]' required>"
        "<button type='submit'>find</button></form>"
    )
    clock = "<time class='fr-clock' data-own></time>"  # `kit.js` writes it
    return f"<div class='fr-header'>{state}{clock}{search if searches else ''}</div>"
