"""Open uploads go to the store that obstore addresses, or files are copied."""

import pytest

from finkray.storage.s3_uploads import Address, shared_uploads


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGION", "DEFAULT_REGION", "VIRTUAL_HOSTED_STYLE_REQUEST"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)


def test_the_region_comes_from_where_obstore_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Address.of("nights", {}) == (None, "us-east-1", False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert Address.of("nights", {}) == (None, "eu-west-1", False)
    assert Address.of("nights", {"region": "local"}) == (None, "local", False)


def test_a_bucket_in_the_host_of_the_endpoint_is_not_added_again() -> None:
    options = {"endpoint": "https://nights.s3.example", "virtual_hosted_style_request": "true"}
    assert Address.of("nights", options) == ("https://s3.example", "us-east-1", True)


def test_with_an_option_that_obstore_alone_knows_files_are_copied() -> None:
    options = {"access_key_id": "name", "secret_access_key": "secret"}
    assert shared_uploads("nights", options) is not None
    assert shared_uploads("nights", {**options, "endpoint_url": "http://127.0.0.1:7071"}) is None
