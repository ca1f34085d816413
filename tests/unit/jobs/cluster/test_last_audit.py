"""The last audit of each archive is kept for the page."""

from pathlib import Path

from finkray.audit.audit import audit
from finkray.storage.local import LocalStorage
from jobs.cluster.last_audit import keep_audit, last_audit
from tests.support.small_archives import SmallArchive


def test_the_last_audit_of_each_archive_is_kept(tmp_path: Path) -> None:
    kept, other = LocalStorage(tmp_path / "kept"), LocalStorage(tmp_path / "other")
    for storage in (kept, other):
        made = SmallArchive(storage)
        made.put_together(made.batch(0, 9))
    assert last_audit(tmp_path, kept.uri) is None
    keep_audit(tmp_path, audit(kept))
    next((tmp_path / "other" / "alerts").rglob("*.parquet")).unlink()
    keep_audit(tmp_path, audit(other, deep="all"))
    first, second = last_audit(tmp_path, kept.uri), last_audit(tmp_path, other.uri)
    assert first is not None
    assert second is not None
    assert (first.balanced, first.archived, first.deep) == (True, 10, "")
    assert (second.balanced, second.deep) == (False, "all")
    assert second.findings > 0
    (tmp_path / "audits.json").write_text("[")
    assert last_audit(tmp_path, kept.uri) is None
