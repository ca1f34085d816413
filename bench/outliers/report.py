"""The tables of the benchmark, as text."""

from collections.abc import Mapping, Sequence

from bench.outliers.detection import Detection
from bench.outliers.injected import Injected
from bench.outliers.public import Calibration, Tde
from bench.outliers.reasons import Reasons, Speed
from bench.outliers.taste import AFTER, KNOWN, LearningFigures
from bench.table import layout
from sim.sky.kinds import STRANGE_KINDS

Rows = list[tuple[str, ...]]


def detection_table(found: Mapping[str, Detection], seen: str) -> str:
    """Return AUC and share in the top 20 by kind, a pair of columns to each detector."""
    rows: Rows = [("kind", "seen in", "objects", *(f"{name}" for name in found))]
    for kind, visible in STRANGE_KINDS.items():
        cells = [
            f"{_number(one.kinds[kind].auc)} / {_number(one.kinds[kind].in_top)}"
            for one in found.values()
        ]
        objects = next(iter(found.values())).kinds[kind].objects
        rows.append((kind.value, visible.value, str(objects), *cells))
    rows.append((f"P20 of kinds seen in the {seen}", "", "", *_each(found, "precision")))
    rows.append(("P20 of all strange kinds", "", "", *_each(found, "precision_all")))
    return layout(rows, left=2)


def many_table(found: Mapping[str, Detection]) -> str:
    """Return objects and AUC by kind, for each choice of objects."""
    rows: Rows = [("kind", *(cell for name in found for cell in ("objects", f"AUC, {name}")))]
    for kind in STRANGE_KINDS:
        cells = [
            cell
            for one in found.values()
            for cell in (str(one.kinds[kind].objects), _number(one.kinds[kind].auc))
        ]
        rows.append((kind.value, *cells))
    return layout(rows)


def tde_text(found: Sequence[Tde]) -> str:
    """Return the figures of the tidal disruption event, by seed."""
    aucs = ", ".join(_number(one.auc, 3) for one in found)
    tops = ", ".join(_number(one.in_top) for one in found)
    alone = ", ".join(_number(one.alone_in_top) for one in found)
    above = ", ".join(str(one.most_above) for one in found)
    return (
        f"AUC {aucs}\nshare of its 21 alerts in the top 20: {tops}; each of them put there alone: "
        f"{alone}\nmost other alerts above any of them: {above}"
    )


def nights_table(apart: Mapping[str, float], p: Mapping[str, Calibration]) -> str:
    """Return the figures of the public nights."""
    rows: Rows = [
        ("night", "alerts", "AUC against others", "p <= 0.05", "p <= 0.01", "frozen", "frozen 0.01")
    ]
    for name, one in p.items():
        shares = (one.own_05, one.own_01, one.frozen_05, one.frozen_01)
        rows.append(
            (
                name,
                str(one.alerts),
                _number(apart[name]),
                *(f"{100 * share:.1f} %" for share in shares),
            )
        )
    return layout(rows)


def injected_table(found: Mapping[str, Injected]) -> str:
    """Return the table of the transients that were injected into the nights."""
    head = ("night", "injected", "in the top 20", "seen before", "AUC against transient-like")
    rows: Rows = [head]
    for name, one in found.items():
        shares = (one.in_top, one.in_top_seen_before, one.auc)
        rows.append((name, str(one.alerts), *(_number(share) for share in shares)))
    return layout(rows)


def taste_table(found: Mapping[str, Mapping[str, LearningFigures]]) -> str:
    """Return precision in the top 20, AUC and thumbs up after each number of thumbs."""
    head = (*(f"after {count}" for count in AFTER), f"{KNOWN} up, {KNOWN} down")
    rows: Rows = [("likes", "learner", *head)]
    for taste, learners in found.items():
        for name, learnt in learners.items():
            met = [*learnt.met.values(), float(KNOWN)]
            pairs = [(learnt.precision[count], learnt.auc[count]) for count in AFTER]
            pairs.append((learnt.known_precision, learnt.known_auc))
            cells = (
                f"{_number(top)} / {_number(area)} ({_number(up, 1)})"
                for (top, area), up in zip(pairs, met, strict=True)
            )
            rows.append((taste, name, *cells))
    return layout(rows, left=2)


def reasons_text(found: Reasons, speed: Speed) -> str:
    """Return the figures of the reasons and the speed."""
    named = (
        f"a pushed feature is named first: {_number(found.first)}, "
        f"among the first three: {_number(found.three)}"
    )
    ranks = (
        f"mean rank of the 50 strangest: {_number(found.rank_before)}; "
        f"with the three aspects that are named at the median {_number(found.rank_after)}, "
        f"with three others {_number(found.rank_after_others)}, "
        f"with the three features alone {_number(found.rank_after_features)}"
    )
    rates = (
        f"alerts/s a core: features {speed.features_per_s:,.0f}, scores "
        f"{speed.scores_per_s:,.0f}, features, scores and reasons {speed.all_per_s:,.0f}"
    )
    return "\n".join([named, ranks, f"reasons: {speed.reasons_ms:.3f} ms an alert", rates])


def _each(found: Mapping[str, Detection], name: str) -> list[str]:
    return [_number(getattr(one, name)) for one in found.values()]


def _number(value: float, digits: int = 2) -> str:
    return "-" if value != value else f"{value:.{digits}f}"  # noqa: PLR0124 - NaN
