"""What a transfer says of alerts that it cannot write."""

from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.alerts import AlertReader
from finkray.streamout.judging import Judge
from finkray.streamout.transfer import judge_file
from tests.support.ledgers import quick_storage
from tests.support.small_archives import SmallArchive


def test_alerts_whose_schema_is_not_there_are_counted_with_the_reason() -> None:
    with quick_storage() as storage:
        (staged,) = SmallArchive(storage).put_together(SmallArchive.batch(0, 4))
        storage.delete([file.path for file in storage.files("schemas")])
        reader = AlertReader(storage)
        (file,) = staged.result.files
        judged = judge_file(storage, Judge(StreamoutSettings(), reader), reader, file.path, None)
    assert judged is not None
    ((reason, alerts),) = judged.verdicts["all"].counts_by_reason().items()
    assert (alerts, judged.item.rows) == (5, 5)
    assert reason.startswith("the archive has not the writer schema")
    assert not len(judged.verdicts["all"].passed)
