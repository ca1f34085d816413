"""Filters and their topics: which names and topics may be published beside each other."""

from collections.abc import Iterator

import pytest

from finkray.errors import FilterError
from finkray.streamout.published import FilterStore
from tests.support.ledgers import quick_storage
from tests.support.published_filters import published


@pytest.fixture
def store() -> Iterator[FilterStore]:
    """A store with the filter `bright`, which writes to the topic `stars`."""
    with quick_storage() as storage:
        store = FilterStore(storage)
        store.publish(published("bright", "stars"))
        yield store


def test_a_topic_has_one_filter(store: FilterStore) -> None:
    with pytest.raises(FilterError, match="topic stars is that of the filter bright"):
        store.publish(published("faint", "stars"))
    assert [each.name for each in store.all()] == ["bright"]


def test_a_filter_has_one_topic(store: FilterStore) -> None:
    with pytest.raises(FilterError, match="bright writes to stars: publish it under another name"):
        store.publish(published("bright", "others"))
    assert store.find("bright").topic == "stars"


def test_a_new_version_begins_where_the_first_one_did(store: FilterStore) -> None:
    again = published("bright", "stars", text='sql = "magpsf < 17"', cursor="1:9:0")
    assert store.publish(again).cursor == "1:0:0"
    found = store.find("bright")
    assert found.definition.version == again.definition.version
    assert found.cursor == "1:0:0"


def test_a_retired_filter_is_not_published_again(store: FilterStore) -> None:
    store.set_state("bright", "retired")
    with pytest.raises(FilterError, match="bright is retired: publish it under another name"):
        store.publish(published("bright", "stars"))


def test_a_filter_that_is_not_there_is_named_with_those_that_are(store: FilterStore) -> None:
    with pytest.raises(FilterError, match="no filter 'brigth' is published; there are: bright"):
        store.find("brigth")


def test_a_filter_that_cannot_be_read_holds_up_no_other() -> None:
    """As one that a later finkray published, or whose expression a library takes no more."""
    with quick_storage() as storage:
        store = FilterStore(storage)
        for name in ("bright", "odd", "faint"):
            store.publish(published(name, f"{name}_stars"))
        text = (storage.read("streamout/odd.json") or b"").replace(b"magpsf < 18", b"magpsf <")
        storage.replace("streamout/odd.json", text)
        found, problems = store.readable()
        assert [each.name for each in found] == ["bright", "faint"]
        assert list(problems) == ["odd"]
        assert problems["odd"].startswith("streamout/odd.json: odd.toml: sql is no expression")
        with pytest.raises(FilterError, match=r"streamout/odd\.json"):  # its topic is not known
            store.publish(published("new", "odd_stars"))
