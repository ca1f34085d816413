"""The features by survey, and the table of features that models are made of. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from finkray import adapter
from finkray.errors import OutlierError
from finkray.outliers import (
    features_lsst,
    features_ztf,
    packet_curves,
    packets_lsst,
    packets_ztf,
)
from finkray.outliers.arrays import Floats, column_of, columns_of, floats
from finkray.outliers.aspects import LSST_ASPECTS, ZTF_ASPECTS, Aspects
from finkray.outliers.feature import Feature
from finkray.surveys import SURVEYS

QUALITY_PREFIX: Final = "quality."
IDS: Final = (("alert_id", pa.int64()), ("object_id", pa.string()))
_ID_COLUMNS: Final = [
    name for survey in SURVEYS.values() for name in (*survey.alert_ids, *survey.object_ids)
]


@dataclass(frozen=True, slots=True)
class FeatureList:
    """The features of a survey's alerts.

    Attributes
    ----------
    survey
        name of the survey
    version
        another one after each change of what a feature is: models of another version are refused
    features
        the features, in the order of the columns
    aspects
        names of the features by what they describe
    quality
        numbers about the image: 1 where a high value is bad, -1 where a low one is
    bands
        names of the bands whose curves have features
    columns
        packet columns that they are read from
    history
        name of a feature that has a value where there are earlier detections
    direction
        name of a feature that is negative where the source is fainter than the reference image
    """

    survey: str
    version: str
    features: tuple[Feature, ...]
    aspects: Aspects
    quality: Mapping[str, float]
    bands: tuple[str, ...]
    columns: tuple[str, ...]
    history: str
    direction: str
    _packets: Callable[[pa.Table], Any]
    _features: Callable[..., Floats]
    _quality: Callable[[pa.Table], Floats]
    _curves: Callable[..., Floats]

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return [feature.name for feature in self.features]

    @property
    def quality_names(self) -> list[str]:
        """Names of the columns of numbers about the image, in a table of features."""
        return [f"{QUALITY_PREFIX}{name}" for name in self.quality]

    @property
    def curve_names(self) -> list[str]:
        """Names of the columns of features of curves, one band after the other."""
        return [feature.name for feature in self.curve_features]

    @property
    def curve_features(self) -> tuple[Feature, ...]:
        """The features of curves, as `curve_names`."""
        return packet_curves.features_by_band(self.bands)

    @property
    def column_names(self) -> list[str]:
        """Names of all columns of numbers in a table of features."""
        return [*self.names, *self.quality_names, *self.curve_names]

    @property
    def curve_aspects(self) -> Aspects:
        """Names of the features of curves by what they describe."""
        return packet_curves.aspects_by_band(self.bands)

    def aspect_of(self, name: str) -> tuple[str, ...]:
        """Return the names of all features of the aspect of a feature."""
        every = {**self.aspects, **self.curve_aspects}
        return next(names for names in every.values() if name in names)

    def groups(self, values: Floats) -> np.ndarray:
        """Return for features of alerts which of four groups each is in, 0 to 3.

        They differ in whether there is a history, and whether the source is fainter than the
        reference image: of alerts of a group about the same is known.
        """
        history, direction = (
            values[:, self.names.index(n)] for n in (self.history, self.direction)
        )
        return 2 * np.isfinite(history).astype(np.int64) + (direction < 0)

    def table(self, alerts: pa.Table) -> pa.Table:
        """Return the features of alerts: a row for each.

        Parameters
        ----------
        alerts
            nested alerts of this survey as the archive has them, or columns of the names in
            `columns`. What is not there counts as missing

        Returns
        -------
        Table
            `alert_id`, `object_id`, the features, the numbers about the image and the features of
            curves, as float64; null where a value is missing, and where an alert is of another
            survey

        Raises
        ------
        OutlierError
            If none of the columns is there.
        """
        records = {column.partition(".")[0] for column in self.columns}
        have = {name.partition(".")[0] for name in alerts.column_names}
        if not records & have:
            raise OutlierError(
                f"these are no alerts of {self.survey}: a table needs {sorted(records)}, "
                f"or the features themselves; it has {sorted(have)[:8]}"
            )
        # Of a detection nothing but the names: magnitudes and times take ten times as long.
        detections = adapter.detections(pa.table(columns_of(alerts, _ID_COLUMNS)))
        ids = {name: detections[name] for name, _ in IDS}
        packets = self._packets(alerts)  # read once, for features and curves
        values = _columns(self.names, self._features(alerts, packets))
        quality = _columns(self.quality_names, self._quality(alerts))
        curves = _columns(self.curve_names, self._curves(alerts, packets))
        return pa.table({**ids, **values, **quality, **curves})


FEATURE_LISTS: Final[Mapping[str, FeatureList]] = {
    "ztf": FeatureList(
        survey="ztf",
        version="ztf-5",
        features=features_ztf.FEATURES,
        aspects=ZTF_ASPECTS,
        quality=features_ztf.QUALITY,
        bands=tuple(packet_curves.ZTF_BANDS),
        columns=packets_ztf.COLUMNS,
        history="range",
        direction="sign",
        _packets=packets_ztf.Packets.of,
        _features=features_ztf.features,
        _quality=features_ztf.quality,
        _curves=packet_curves.ztf_curves,
    ),
    "lsst": FeatureList(
        survey="lsst",
        version="lsst-4",
        features=features_lsst.FEATURES,
        aspects=LSST_ASPECTS,
        quality=features_lsst.QUALITY,
        bands=packet_curves.LSST_BANDS,
        columns=packets_lsst.COLUMNS,
        history="scatter",
        direction="flux",
        _packets=packets_lsst.Packets.of,
        _features=features_lsst.features,
        _quality=features_lsst.quality,
        _curves=packet_curves.lsst_curves,
    ),
}


def feature_list(survey: str) -> FeatureList:
    """Return the features of a survey.

    Raises
    ------
    OutlierError
        if there are none
    """
    if survey not in FEATURE_LISTS:
        raise OutlierError(
            f"there are no features of the survey {survey!r}: expected one of "
            f"{', '.join(FEATURE_LISTS)}"
        )
    return FEATURE_LISTS[survey]


def features_of(alerts: pa.Table, survey: str) -> pa.Table:
    """Return the table of features of alerts, as `FeatureList.table`; one that is given stays.

    Raises
    ------
    OutlierError
        if there are no features of the survey
    """
    about = feature_list(survey)
    if set(about.names) <= set(alerts.column_names):
        return alerts
    return about.table(alerts)


def matrix(table: pa.Table, names: list[str]) -> Floats:
    """Return columns of a table of features: shape (rows, names), NaN where there is no value."""
    if not table.num_rows:
        return np.empty((0, len(names)))
    values = np.stack([_numbers(table, name) for name in names], axis=1)
    return np.where(np.isfinite(values), values, np.nan)


def _numbers(table: pa.Table, name: str) -> Floats:
    where = table.schema.get_field_index(name)
    if where >= 0 and table.schema.field(where).type == pa.float64():
        numbers: Floats = table.column(where).to_numpy()  # nulls become NaN
        return numbers
    return floats(column_of(table, name))


def _columns(names: list[str], values: Floats) -> dict[str, pa.Array]:
    return {
        name: pa.array(column, mask=np.isnan(column))
        for name, column in zip(names, np.asfortranarray(values).T, strict=True)
    }
