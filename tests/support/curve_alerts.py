"""Small alerts of ZTF and LSST for tests of light curves, with only the fields that points need."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from finkray.claim import Claim, ClaimResult, StagedClaim, TopicPartition
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import AlertBatch
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.write_claim import write_claim
from finkray.storage.contract import Storage
from tests.support.small_archives import NIGHT

FINGERPRINT = "ab" * 32
_IMAGE = [("jd", pa.float64()), ("fid", pa.int32()), ("pid", pa.int64())]
_REFERENCE = [
    *[(name, pa.int32()) for name in ("field", "rcid")],
    *[(name, pa.float32()) for name in ("distnr", "magnr", "sigmagnr", "diffmaglim")],
]
_ZTF_DETECTION = pa.struct(
    [
        *_IMAGE,
        *_REFERENCE,
        ("candid", pa.int64()),
        ("isdiffpos", pa.string()),
        *[(name, pa.float64()) for name in ("ra", "dec", "magpsf", "sigmapsf")],
    ]
)
_ZTF_FORCED = pa.struct(
    [
        *_IMAGE,
        *_REFERENCE,
        ("procstatus", pa.string()),
        *[(name, pa.float64()) for name in ("magzpsci", "forcediffimflux", "forcediffimfluxunc")],
    ]
)
_LSST_SOURCE = pa.struct(
    [
        *[(name, pa.int64()) for name in ("diaSourceId", "diaObjectId", "ssObjectId", "visit")],
        ("detector", pa.int16()),
        ("band", pa.string()),
        *[
            (name, pa.float64())
            for name in ("ra", "dec", "midpointMjdTai", "psfFlux", "psfFluxErr")
        ],
        *[(name, pa.float64()) for name in ("timeProcessedMjdTai", "timeWithdrawnMjdTai")],
    ]
)
_LSST_FORCED = pa.struct(
    [("diaForcedSourceId", pa.int64()), *(f for f in _LSST_SOURCE if f.name != "diaSourceId")]
)
ZTF_SCHEMA = pa.schema(
    [
        ("objectId", pa.string()),
        ("candid", pa.int64()),
        ("candidate", _ZTF_DETECTION),
        ("prv_candidates", pa.list_(_ZTF_DETECTION)),
        ("fp_hists", pa.list_(_ZTF_FORCED)),
    ]
)
LSST_SCHEMA = pa.schema(
    [
        ("diaSourceId", pa.int64()),
        ("diaSource", _LSST_SOURCE),
        ("prvDiaSources", pa.list_(_LSST_SOURCE)),
        ("prvDiaForcedSources", pa.list_(_LSST_FORCED)),
        ("diaObject", pa.struct([("diaObjectId", pa.int64())])),
        ("ssSource", pa.struct([("ssObjectId", pa.int64())])),
    ]
)

FIRST_JD = 2_458_900.7
FIRST_MJD = 61_100.0


def ztf_detection(candid: int, **fields: Any) -> dict[str, Any]:
    """Return a detection of ZTF in image `candid`, `candid` days after `FIRST_JD`."""
    return {
        "jd": FIRST_JD + candid,
        "fid": 1,
        "pid": candid,
        "candid": candid,
        "isdiffpos": "t",
        "ra": 10.0,
        "dec": 20.0,
        "magpsf": 18.0,
        "sigmapsf": 0.1,
        "diffmaglim": 20.0,
        **fields,
    }


def ztf_limit(pid: int, **fields: Any) -> dict[str, Any]:
    """Return the entry of a history for an image in which nothing was found."""
    return {"jd": FIRST_JD + pid, "fid": 1, "pid": pid, "diffmaglim": 20.5, **fields}


def ztf_forced(pid: int, flux: float = 100.0, **fields: Any) -> dict[str, Any]:
    """Return a forced measurement of ZTF with zero point 31.4: its flux is in nJy."""
    values = {"magzpsci": 31.4, "forcediffimflux": flux, "forcediffimfluxunc": 10.0}
    return {"jd": FIRST_JD + pid, "fid": 1, "pid": pid, "procstatus": "0", **values, **fields}


def ztf_alert(
    detection: dict[str, Any],
    *history: dict[str, Any],
    object_id: str = "ZTF20aaaaaaa",
    forced: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Return an alert of ZTF."""
    return {
        "objectId": object_id,
        "candid": detection["candid"],
        "candidate": detection,
        "prv_candidates": list(history),
        "fp_hists": list(forced),
    }


def lsst_source(number: int, **fields: Any) -> dict[str, Any]:
    """Return a source of LSST in visit `number`, `number` days after `FIRST_MJD`."""
    return {
        "diaSourceId": number,
        "diaObjectId": 7,
        "visit": number,
        "detector": 3,
        "band": "g",
        "ra": 150.0,
        "dec": 2.0,
        "midpointMjdTai": FIRST_MJD + number,
        "psfFlux": 1000.0,
        "psfFluxErr": 50.0,
        "timeProcessedMjdTai": FIRST_MJD + number + 0.001,
        **fields,
    }


def lsst_alert(
    source: dict[str, Any], *history: dict[str, Any], forced: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return an alert of LSST."""
    dia, sso = source.get("diaObjectId"), source.get("ssObjectId")
    return {
        "diaSourceId": source["diaSourceId"],
        "diaSource": source,
        "prvDiaSources": list(history),
        "prvDiaForcedSources": list(forced),
        "diaObject": {"diaObjectId": dia} if dia else None,
        "ssSource": {"ssObjectId": sso} if sso else None,
    }


def ztf_table(*alerts: dict[str, Any]) -> pa.Table:
    """Return alerts of ZTF as a table."""
    return pa.Table.from_pylist(list(alerts), ZTF_SCHEMA)


def lsst_table(*alerts: dict[str, Any]) -> pa.Table:
    """Return alerts of LSST as a table."""
    return pa.Table.from_pylist(list(alerts), LSST_SCHEMA)


class CurveArchive:
    """An archive written by the test; each topic has one partition that begins at offset 0."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._ledger = Ledger.take_over(storage)
        self._ends: dict[str, int] = {}
        self._attempts = 0

    def put(self, alerts: pa.Table, topic: str) -> ClaimResult:
        """Archive alerts as one claim."""
        first = self._ends.get(topic, 0)
        self._ends[topic] = first + alerts.num_rows
        staged = self._stage(alerts, topic, first)
        commit(self._ledger, self.storage, [staged])
        return staged.result

    def write_again(self, before: ClaimResult, alerts: pa.Table) -> None:
        """Replace the file of a claim by one with other alerts, as a repair may."""
        self.storage.delete([file.path for file in before.files])
        claim = before.claim
        staged = self._stage(alerts, claim.source.topic, claim.first_offset)
        assert [file.path for file in staged.result.files] == [file.path for file in before.files]
        commit(self._ledger, self.storage, [staged], kind="repaired")

    def _stage(self, alerts: pa.Table, topic: str, first: int) -> StagedClaim:
        count = alerts.num_rows
        columns = {
            "kafka_topic": pa.repeat(pa.scalar(topic), count),
            "kafka_partition": pa.repeat(pa.scalar(0, pa.int32()), count),
            "kafka_offset": pa.array(range(first, first + count), pa.int64()),
            "kafka_timestamp": pa.repeat(pa.scalar(NIGHT, pa.timestamp("ms", "UTC")), count),
        }
        table = pa.table({**columns, **{name: alerts[name] for name in alerts.column_names}})
        source = TopicPartition("cluster", topic, f"id-of-{topic}", 0)
        batch = AlertBatch(
            claim=Claim(source, first, first + count - 1),
            tables=((FINGERPRINT, table),),
            schemas={FINGERPRINT: "{}"},
            schema_ids={},
            dead_letters=DEAD_LETTER_SCHEMA.empty_table(),
            gaps=(),
        )
        self._attempts += 1
        return write_claim(batch, self.storage, self._ledger.staging, str(self._attempts))


def archive_table(storage: Storage, alerts: pa.Table, topic: str = "ztf") -> None:
    """Archive alerts as one claim of a topic in a new archive."""
    CurveArchive(storage).put(alerts, topic)
