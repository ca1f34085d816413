"""The Zwicky Transient Facility: https://www.ztf.caltech.edu."""

from finkray.surveys.survey import Survey

ZTF = Survey(
    name="ztf",
    must_have={
        "objectId": "string",
        "candid": "int64",
        "candidate.jd": "double",
        "candidate.ra": "double",
        "candidate.dec": "double",
    },
    record="candidate",
    times=("jd",),
    # Julian date, UTC. Noon at Palomar is 20:00 UTC, so no night is split.
    unix_epoch_days=2_440_587.5,
    ahead_of_utc_ms=0,
    night_begins_utc_hour=20,
    # The processing id of an image: the night and five digits of the day identify the exposure; two
    # digits of the readout channel and 15 follow. In real packets each exposure time has one such
    # number.
    visit="pid",
    numbers_per_visit=10_000,
    detector="rcid",
    alert_ids=("candid",),
    object_ids=("objectId",),
    topics="^ztf_",
    simulated_topic="ztf_{date}_programid1",
)
