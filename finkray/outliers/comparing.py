"""Compare two models: reference rows and thumbs that they share, and how alike they score."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr

from finkray.errors import OutlierError
from finkray.outliers.feature_list import matrix
from finkray.outliers.model import OutlierModel

TOP: Final = 20


@dataclass(frozen=True, slots=True)
class ModelDiff:
    """What two models share, and what only one of them has.

    Attributes
    ----------
    survey
        of both
    same_seed
        whether their forests and samples have one seed
    rows, rows_first, rows_second
        reference rows of both, of the first alone, of the second alone
    thumbs, thumbs_first, thumbs_second
        thumbs likewise: an alert that is up in one and down in the other counts for each
    correlation
        rank correlation of their scores of all reference rows, -1 to 1; None if one has one score
    top
        how many of the 20 highest scores of these rows are the same alerts
    """

    survey: str
    same_seed: bool
    rows: int
    rows_first: int
    rows_second: int
    thumbs: int
    thumbs_first: int
    thumbs_second: int
    correlation: float | None
    top: int

    def text(self) -> str:
        """Return lines about it."""
        seed = "the same seed" if self.same_seed else "different seeds"
        alike = "not known" if self.correlation is None else f"{self.correlation:.3f}"
        return (
            f"{self.survey}, {seed}\n"
            f"reference alerts: {self.rows:,} in both, {self.rows_first:,} in the first alone, "
            f"{self.rows_second:,} in the second alone\n"
            f"thumbs: {self.thumbs:,} in both, {self.thumbs_first:,} in the first alone, "
            f"{self.thumbs_second:,} in the second alone\n"
            f"scores of all these alerts: rank correlation {alike}; "
            f"{self.top} of the {TOP} strangest are the same"
        )

    def to_json(self) -> dict[str, Any]:
        """Return its fields."""
        return {name: getattr(self, name) for name in self.__slots__}


def compared(first: OutlierModel, second: OutlierModel) -> ModelDiff:
    """Return what two models share.

    Raises
    ------
    OutlierError
        If they are of different surveys.
    """
    if first.survey != second.survey:
        raise OutlierError(
            f"a model of {first.survey} cannot be compared with one of {second.survey}"
        )
    names = first.about.column_names
    rows = [_keys(model.reference, names) for model in (first, second)]
    thumbs = [_keys(model.thumbs, [*names, "up"]) for model in (first, second)]
    known = set(rows[0])
    new = [number for number, key in enumerate(rows[1]) if key not in known]
    every = pa.concat_tables([first.reference, second.reference.take(pa.array(new, pa.int64()))])
    scores = [model.score(every)["score"].to_numpy() for model in (first, second)]
    correlation = float(spearmanr(*scores).statistic)
    top = [set(np.argsort(-each, kind="stable")[:TOP].tolist()) for each in scores]
    return ModelDiff(
        first.survey,
        first.seed == second.seed,
        *_counts(*map(set, rows)),
        *_counts(*map(set, thumbs)),
        correlation if np.isfinite(correlation) else None,
        len(top[0] & top[1]),
    )


def _counts(first: set[Any], second: set[Any]) -> tuple[int, int, int]:
    return len(first & second), len(first - second), len(second - first)


def _keys(table: pa.Table, names: list[str]) -> list[tuple[int | None, bytes]]:
    ids = table["alert_id"].to_pylist()
    values = matrix(table, names)
    return [(alert_id, row.tobytes()) for alert_id, row in zip(ids, values, strict=True)]
