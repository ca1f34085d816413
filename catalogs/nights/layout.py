"""Paths of HATS nights in an archive, relative to its root, with forward slashes.

    hats/nights.json                                  which files of the archive have which nights
    hats/first_survey.json                            the survey whose nights lie in hats/nights
    hats/nights/<obs_night>/collection.properties     written last: the commit
    hats/nights/<obs_night>/g<N>/object_lc            objects with nested light curves
    hats/nights/<obs_night>/g<N>/object_lc_10arcs     their margin
    hats/nights/<obs_night>/g<N>/object_lc_<id>       the index of object ids
    hats/nights/<obs_night>/g<N>/alerts               alerts, flat
    hats/nights/<obs_night>/g<N>/narrow               as hourly files, without images and lists
    hats/nights/<obs_night>/g<N>/build                while the generation is built
    hats/all/collection.properties, hats/all/g<N>/…   all built nights as one collection, not narrow

A HATS collection has the alerts of one survey. The nights of the first survey of which an archive
builds a night lie in `hats/nights`, those of another one in `hats/nights-<survey>`; `hats/all` and
`hats/all-<survey>` have all of them.
"""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Final

from finkray.nights.layout import HATS_FOLDER
from finkray.storage.contract import Storage
from finkray.surveys.survey import Survey

INDEX_PATH: Final = f"{HATS_FOLDER}/nights.json"

OBJECTS: Final = "object_lc"
ALERTS: Final = "alerts"
MARGIN_ARCSEC: Final = 10.0
MARGIN: Final = f"{OBJECTS}_{MARGIN_ARCSEC:.0f}arcs"

OBJECT_ID: Final = {"ztf": "objectId", "lsst": "diaObjectId"}
"""The column with the object's id, by survey; the index of a collection is over this column."""

_FIRST_SURVEY_PATH: Final = f"{HATS_FOLDER}/first_survey.json"


def nights_folder(storage: Storage, survey: str, *, decide: bool = False) -> str:
    """Return the folder of a survey's nights.

    Parameters
    ----------
    storage
        of the archive
    survey
        its name
    decide
        make this survey the first one if none is yet
    """
    if decide:
        storage.create(_FIRST_SURVEY_PATH, json.dumps({"survey": survey}).encode() + b"\n")
    return _of_survey(storage, survey, "nights")


def all_folder(storage: Storage, survey: str) -> str:
    """Return the folder of the collection of all nights of a survey."""
    return _of_survey(storage, survey, "all")


def _of_survey(storage: Storage, survey: str, name: str) -> str:
    data = storage.read(_FIRST_SURVEY_PATH)
    first = survey if data is None else json.loads(data)["survey"]
    return f"{HATS_FOLDER}/{name}" if survey == first else f"{HATS_FOLDER}/{name}-{survey}"


def generation_of(folder: str) -> int | None:
    """Return the number in the name of a generation's folder; None for any other folder."""
    name = folder.rpartition("/")[2]
    return int(name[1:]) if name[:1] == "g" and name[1:].isdigit() else None


def index_name(survey: str) -> str:
    """Return the name of the index of object ids."""
    return f"{OBJECTS}_{OBJECT_ID[survey]}"


def night_end(survey: Survey, night: date) -> datetime:
    """Return when an observing night has ended, UTC: when the next one begins."""
    midnight = datetime(night.year, night.month, night.day, tzinfo=UTC)
    return midnight + timedelta(days=1, hours=survey.night_begins_utc_hour)
