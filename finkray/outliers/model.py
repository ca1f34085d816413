"""A model that scores how strange alerts are, with reasons. It needs neither Ray nor an archive.

    from finkray.outliers.model import OutlierModel

    model = OutlierModel.fit(alerts, survey="ztf", seed=1)   # alerts: a table as of an archive
    scores = model.score(other_alerts)
    reasons = model.explain(other_alerts)
    taught = model.learn(some_alerts, [True, False, False])

The model is data: a reference sample of features, a seed and thumbs. The same rows give the same
bits in any order, process and number of threads, and `digest` names them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import OutlierError
from finkray.outliers.arrays import columns_of
from finkray.outliers.aspects import Aspects
from finkray.outliers.digest import canonical_order, digest_of
from finkray.outliers.explanation import DRIVER_LIST, drivers
from finkray.outliers.feature_list import FeatureList, feature_list, features_of, matrix
from finkray.outliers.scoring import Scored, Scorer

SCORES: Final = pa.schema(
    [
        ("score", pa.float64()),
        ("plain_score", pa.float64()),
        ("p_model", pa.float64()),
        ("known", pa.int32()),
        ("quality", pa.float64()),
        ("stage", pa.string()),
        ("similar_alert_id", pa.int64()),
        ("similar_thumb", pa.int32()),
    ]
)
"""Columns of `OutlierModel.score`.

| column | meaning |
|---|---|
| score | how strange: 0 is the median of ordinary alerts, 1 the strangest 1 % of them; higher is stranger; with thumbs, what they add is in it. Null where no feature has a value |
| plain_score | the same without thumbs |
| p_model | share of the reference that scores at least as high, without thumbs: 0 to 1 |
| known | features that have a value |
| quality | share of the reference whose images are at least as bad: low is a bad image; null where nothing about the image is known |
| stage | what decided: `packet`, or `curve` where the light curve in the packet is stranger than the rest of it; null where there is no score |
| similar_alert_id | alert of the reference that resembles it most |
| similar_thumb | number of the thumb that it resembles most; null without thumbs |
"""  # noqa: E501 - a table

PACKET_STAGE: Final = "packet"
CURVE_STAGE: Final = "curve"
LEAST_ROWS: Final = 50
"""Fewer alerts say nothing of what is ordinary: of 50, the strangest has p = 0.02."""
MOST_ROWS: Final = 4096
"""Reference rows: p-values go down to 1 / 4 097, and a model takes 2 MB."""
_BATCH: Final = 4096


@dataclass(frozen=True, eq=False)
class OutlierModel:
    """A reference sample, and the detectors that are built of it.

    Attributes
    ----------
    survey
        survey of the alerts
    seed
        of the forest and of the samples
    reference
        features of ordinary alerts, as `finkray.outliers.feature_list` makes them
    thumbs
        features of alerts with thumbs, and the column `up`
    threads
        how many threads score; the scores are the same for any number
    """

    survey: str
    seed: int
    reference: pa.Table = field(repr=False)
    thumbs: pa.Table = field(repr=False)
    threads: int = 1

    @classmethod
    def fit(
        cls,
        alerts: pa.Table,
        *,
        survey: str,
        seed: int = 0,
        rows: int = MOST_ROWS,
        threads: int = 1,
    ) -> "OutlierModel":
        """Build a model of alerts, most of which are ordinary.

        Parameters
        ----------
        alerts
            nested alerts of the survey as an archive has them, or their table of features
            (`finkray.outliers.feature_list.features_of`). An alert that is there twice counts once
        survey
            `ztf` or `lsst`
        seed
            of the forest and of the samples
        rows
            of the reference at most; where there are more alerts, these are drawn
        threads
            how many threads score

        Raises
        ------
        OutlierError
            If fewer than `LEAST_ROWS` alerts have a feature with a value, all features are
            constant, there are no features of the survey, `rows` or `seed` is too small, or
            coniferest is not installed.
        """
        if rows < LEAST_ROWS or seed < 0:
            raise OutlierError(
                f"rows = {rows}, seed = {seed}: expected at least {LEAST_ROWS} rows, and a seed of "
                "0 or more"
            )
        about = feature_list(survey)
        table = _own_columns(features_of(alerts, survey), about)
        values = matrix(table, about.names)
        usable = np.flatnonzero(np.isfinite(values).any(axis=1) & ~_again(table))
        if len(usable) < LEAST_ROWS:
            raise OutlierError(
                f"a model needs at least {LEAST_ROWS} alerts of {survey} with features that have "
                f"values; {len(usable)} of {table.num_rows} rows are such: give more nights"
            )
        # In an order that the rows themselves decide, so that neither the order in which an archive
        # has them nor a batch size matters.
        ordered = usable[canonical_order(table.take(pa.array(usable)))]
        if len(ordered) > rows:
            drawn = np.random.default_rng(seed).permutation(len(ordered))[:rows]
            ordered = ordered[np.sort(drawn)]
        reference = table.take(pa.array(ordered)).combine_chunks()
        model = cls(survey, seed, reference, _no_thumbs(reference), threads)
        _ = model._scorer  # what cannot be built says so now
        return model

    @cached_property
    def digest(self) -> str:
        """The version of the model: 16 hexadecimal digits that name its data."""
        return digest_of(self.survey, self.seed, self.about.version, self.reference, self.thumbs)

    @property
    def about(self) -> FeatureList:
        """The features of the survey."""
        return feature_list(self.survey)

    def score(self, alerts: pa.Table) -> pa.Table:
        """Return how strange alerts are.

        Parameters
        ----------
        alerts
            nested alerts of the model's survey, or their table of features

        Returns
        -------
        Table
            a row for each alert in the same order: columns of `SCORES`. What an alert gets does not
            depend on the others

        Raises
        ------
        OutlierError
            If the columns are those of the features of another survey.
        """
        return self._each_batch(alerts, SCORES, lambda table: self._score(table)[0])

    def explain(self, alerts: pa.Table) -> pa.Table:
        """Return the reasons of the scores: the columns of `score`, and `drivers`.

        `drivers` is a list of up to three reasons, each of another aspect of the alert, the most
        telling first: see `finkray.outliers.explanation.DRIVER`; `FeatureList.aspect_of` has what
        else a reason stands for, `finkray.outliers.explanation.words` says one in words. It is
        empty where there is no score.

        Parameters
        ----------
        alerts
            nested alerts of the survey, or their table of features

        Raises
        ------
        OutlierError
            As `score`.
        """
        schema = SCORES.append(pa.field("drivers", DRIVER_LIST))
        return self._each_batch(alerts, schema, self._explain)

    def learn(self, alerts: pa.Table, up: Sequence[bool]) -> "OutlierModel":
        """Return a model that has learnt thumbs in addition to those of this model.

        Parameters
        ----------
        alerts
            nested alerts of the survey, or their table of features
        up
            for each of them, whether the thumb is up. Of thumbs for one alert the last one counts

        Raises
        ------
        OutlierError
            If the numbers of alerts and thumbs differ, or a thumb is no boolean: the text "down"
            would count as true.
        """
        table = _own_columns(features_of(alerts, self.survey), self.about)
        if table.num_rows != len(up):
            raise OutlierError(f"{len(up)} thumbs for {table.num_rows} alerts: give one for each")
        if others := [each for each in up if not isinstance(each, bool | np.bool_)]:
            raise OutlierError(f"{others[0]!r} is no thumb: give True for up, False for down")
        added = table.append_column("up", pa.array([bool(each) for each in up], pa.bool_()))
        thumbs = pa.concat_tables([self.thumbs, added.cast(self.thumbs.schema)]).combine_chunks()
        newest = {
            alert_id if alert_id is not None else -1 - row: row
            for row, alert_id in enumerate(thumbs["alert_id"].to_pylist())
        }
        kept = thumbs.take(pa.array(sorted(newest.values()), pa.int64()))
        return OutlierModel(self.survey, self.seed, self.reference, kept, self.threads)

    def without_thumbs(self) -> "OutlierModel":
        """Return the model as it was before it learnt any thumb."""
        nothing = _no_thumbs(self.reference)
        return OutlierModel(self.survey, self.seed, self.reference, nothing, self.threads)

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self)

    def _each_batch(
        self, alerts: pa.Table, schema: pa.Schema, answer: Callable[[pa.Table], pa.Table]
    ) -> pa.Table:
        table = features_of(alerts, self.survey)
        if missing := sorted(set(self.about.names) - set(table.column_names)):
            raise OutlierError(
                f"these are not the features of {self.survey}: {', '.join(missing)} are missing"
            )
        batches = [answer(table.slice(start, _BATCH)) for start in range(0, table.num_rows, _BATCH)]
        return pa.concat_tables(batches).cast(schema) if batches else schema.empty_table()

    def _score(self, table: pa.Table) -> tuple[pa.Table, Scored]:
        scored = self._scorer.score(table)
        quality = self._scorer.quality(matrix(table, self.about.quality_names))
        unknown = scored.known == 0
        similar = self.reference["alert_id"].take(pa.array(scored.nearest))
        nothing = pa.nulls(len(unknown), pa.int32())
        no_thumb = scored.thumb is None
        columns = [
            pa.array(scored.score, mask=unknown),
            pa.array(scored.plain, mask=unknown),
            pa.array(scored.p_model, mask=unknown),
            pa.array(scored.known.astype(np.int32)),
            pa.array(quality, mask=np.isnan(quality)),
            _stages(unknown, scored.by_curve),
            similar.combine_chunks(),
            nothing if no_thumb else pa.array(scored.thumb, pa.int32(), mask=unknown),
        ]
        return pa.table(columns, schema=SCORES), scored

    def _explain(self, table: pa.Table) -> pa.Table:
        scores, scored = self._score(table)
        # What reasons cost is the paths in the forest: they are followed where they are named.
        packet, curve = np.flatnonzero(~scored.by_curve), np.flatnonzero(scored.by_curve)
        found = drivers(
            self.about.features,
            _columns_of(self.about.aspects, self.about.names),
            scored.values[packet],
            scored.places.take(packet),
            self._scorer.contributions(scored, packet),
        )
        if len(curve):
            values, places, shares = self._scorer.curve_contributions(scored)
            aspects = _columns_of(self.about.curve_aspects, self.about.curve_names)
            of_curves = drivers(self.about.curve_features, aspects, values, places, shares)
            order = np.argsort(np.concatenate([packet, curve]))
            found = pa.concat_arrays([found, of_curves]).take(pa.array(order))
        return scores.append_column(pa.field("drivers", DRIVER_LIST), found)


def _columns_of(aspects: Aspects, names: list[str]) -> list[np.ndarray]:
    """Return the numbers of the features of each aspect."""
    return [np.array([names.index(name) for name in each]) for each in aspects.values()]


def _own_columns(table: pa.Table, about: FeatureList) -> pa.Table:
    """Return the columns of a table of features in their order; null where one is not given."""
    types = {"alert_id": pa.int64(), "object_id": pa.string()}
    types |= dict.fromkeys(about.column_names, pa.float64())
    read = columns_of(table, list(types))
    return pa.table({name: read[name].cast(type_) for name, type_ in types.items()})


def _stages(unknown: np.ndarray, by_curve: np.ndarray) -> pa.Array:
    stages = pa.array([PACKET_STAGE, CURVE_STAGE]).take(pa.array(by_curve.astype(np.int64)))
    return pc.if_else(pa.array(unknown), pa.scalar(None, pa.string()), stages)


def _no_thumbs(reference: pa.Table) -> pa.Table:
    return reference.schema.append(pa.field("up", pa.bool_())).empty_table()


def _again(table: pa.Table) -> np.ndarray:
    """Return which rows are of an alert that an earlier row has."""
    ids = table["alert_id"].combine_chunks()
    numbers = ids.fill_null(0).to_numpy(zero_copy_only=False)
    _, first = np.unique(numbers, return_index=True)
    again = np.ones(len(numbers), bool)
    again[first] = False
    return again & ids.is_valid().to_numpy(zero_copy_only=False)
