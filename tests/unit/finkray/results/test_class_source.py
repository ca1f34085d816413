from datetime import date, timedelta

import pytest

from finkray.errors import ServiceError
from finkray.results.class_source import ClassSource
from tests.support.parity import FIRST, parity_store, put_night
from tests.support.small_archives import NIGHT, SmallArchive


def test_a_list_is_read_again_when_its_count_has_changed(
    small: SmallArchive,
) -> None:
    source = ClassSource(small.storage)
    assert source.counts() == ()
    put_night(small, 0, FIRST)
    (counts,) = source.counts()
    night = counts.nights[0]
    assert night.classes["even"] == 5
    assert source.newest(counts, night, "even")[0].why == "8 by 2"
    put_night(small, 10, FIRST, NIGHT + timedelta(hours=1))
    # Old counts still get the list that was read for them.
    assert source.newest(counts, night, "even")[0].why == "8 by 2"
    (counts,) = source.counts()
    newest = source.newest(counts, counts.nights[0], "even")
    assert (len(newest), newest[0].why) == (10, "18 by 2")


def test_a_list_of_deleted_results_is_an_error_that_the_page_shows(small: SmallArchive) -> None:
    source = ClassSource(small.storage)
    put_night(small, 0, date(2026, 11, 23))
    (counts,) = source.counts()
    parity_store(small).storage.delete(["about.json"])
    with pytest.raises(ServiceError, match="there are no results"):
        source.newest(counts, counts.nights[0], "even")
