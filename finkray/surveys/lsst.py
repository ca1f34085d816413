"""The Legacy Survey of Space and Time of the Vera C. Rubin Observatory: https://rubinobservatory.org."""

from finkray.surveys.survey import TAI_MINUS_UTC_MS, Survey

LSST = Survey(
    name="lsst",
    must_have={
        "diaSource.diaSourceId": "int64",
        "diaSource.ra": "double",
        "diaSource.dec|diaSource.decl": "double",
        "diaSource.midpointMjdTai|diaSource.midPointTai": "double",
    },
    record="diaSource",
    times=("midpointMjdTai", "midPointTai"),
    # MJD, TAI, midpoint of the exposure. Rubin's day_obs begins at 12:00 UTC.
    unix_epoch_days=40_587.0,
    ahead_of_utc_ms=TAI_MINUS_UTC_MS,
    night_begins_utc_hour=12,
    visit="visit",
    numbers_per_visit=1,
    detector="detector",
    alert_ids=("diaSource.diaSourceId", "diaSourceId"),
    object_ids=("diaObject.diaObjectId", "diaSource.diaObjectId"),
    topics="^lsst",
    simulated_topic="lsst_alerts_{date}",
)
