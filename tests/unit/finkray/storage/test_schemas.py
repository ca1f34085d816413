"""A schema file that is damaged is not used, is named, and is written again."""

import hashlib
import logging

import pytest

from finkray.audit.audit import audit
from finkray.audit.deep import SCHEMA_PROBLEMS
from finkray.storage.layout import schema_path
from finkray.storage.schema_ids import keep_schema_id, read_schema_ids
from finkray.storage.schemas import keep_schema, read_schema, schema_problem
from tests.support.small_archives import SmallArchive

TEXT = '{"name":"pair","type":"record"}'
FINGERPRINT = hashlib.sha256(TEXT.encode()).hexdigest()
PATH = schema_path(FINGERPRINT)


def changed_bit(data: bytes) -> bytes:
    return data[:9] + bytes([data[9] ^ 1]) + data[10:]


@pytest.mark.parametrize("damaged", [b"", TEXT[:-5].encode(), changed_bit(TEXT.encode())])
def test_a_damaged_schema_is_not_used_and_is_written_again(
    small: SmallArchive, caplog: pytest.LogCaptureFixture, damaged: bytes
) -> None:
    storage = small.storage
    storage.create(PATH, damaged)
    assert read_schema(storage, FINGERPRINT) is None
    assert schema_problem(storage, FINGERPRINT) == "damaged"
    with caplog.at_level(logging.WARNING):
        keep_schema(storage, FINGERPRINT, TEXT)
    assert f"{PATH} was damaged" in caplog.text
    assert read_schema(storage, FINGERPRINT) == TEXT
    assert schema_problem(storage, FINGERPRINT) is None


def test_a_schema_that_vanished_is_written_again(small: SmallArchive) -> None:
    storage = small.storage
    for _ in range(2):
        keep_schema(storage, FINGERPRINT, TEXT)
        assert read_schema(storage, FINGERPRINT) == TEXT
        storage.delete([PATH])
        assert schema_problem(storage, FINGERPRINT) == "missing"


@pytest.mark.parametrize("damaged", [None, changed_bit(TEXT.encode())])
def test_the_id_of_a_schema_that_is_not_whole_is_looked_up_again(
    small: SmallArchive, caplog: pytest.LogCaptureFixture, damaged: bytes | None
) -> None:
    storage = small.storage
    keep_schema_id(storage, "cluster", 7, FINGERPRINT)
    if damaged is not None:
        storage.create(PATH, damaged)
    with caplog.at_level(logging.WARNING):
        assert read_schema_ids(storage) == {}
    assert f"{PATH}, the schema with id 7, is missing or damaged" in caplog.text
    keep_schema(storage, FINGERPRINT, TEXT)
    assert read_schema_ids(storage) == {("cluster", 7): TEXT}


def test_a_deep_audit_names_schemas_that_are_not_whole(small: SmallArchive) -> None:
    storage = small.storage
    small.put(0, 9)
    small.put(10, 19, candidate={"jd": 2461368.5, "magpsf": 18.0})
    assert audit(storage, deep="all").balanced
    missing, damaged = (file.path for file in storage.files("schemas"))
    storage.delete([missing])
    storage.replace(damaged, changed_bit(storage.read(damaged) or b""))
    report = audit(storage, deep="all")
    assert not report.balanced
    assert report.deep is not None
    found = {finding.path: finding.problem for finding in report.deep.findings}
    assert found == {
        missing: SCHEMA_PROBLEMS["missing"],
        damaged: SCHEMA_PROBLEMS["damaged"],
    }
    assert {finding.offsets for finding in report.deep.findings} == {0}
