"""The list of a night: who is on it, in which order, with which p-values and reasons.

| column | meaning |
|---|---|
| p_night | share of alerts of the night that score at least as high, this one counted: without thumbs |
| p_context | the same among alerts of its context |
| order | what put the object on its place: `score`, or `thumbs` where what users like decided |
| class | that `classify` gave, null without one |
| bad_image | the image is among the worst 1 %: such objects come last |
"""  # noqa: E501 - a table

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from finkray.outliers.explanation import DRIVER_LIST, words
from finkray.outliers.feature_list import FEATURE_LISTS
from finkray.outliers.muting import classes_of, muted
from finkray.outliers.ranking import (
    BIN,
    Candidate,
    NightGroup,
    Ranking,
    contexts_named,
    is_bad,
)
from finkray.results.store import find_store
from finkray.storage.contract import Storage

Groups = Mapping[tuple[str, str, str], NightGroup]

ENOUGH: Final = 2000
"""Alerts whose scores calibrate a night: if it has fewer, the nights before are added."""

NIGHTS_BEFORE: Final = 5

_LOOKED_UP: Final = 200

LISTED: Final = pa.schema(
    [
        ("rank", pa.int32()),
        ("object_id", pa.string()),
        ("alert_id", pa.int64()),
        ("survey", pa.string()),
        ("night", pa.string()),
        ("context", pa.string()),
        ("class", pa.string()),
        ("score", pa.float64()),
        ("plain_score", pa.float64()),
        ("p_night", pa.float64()),
        ("p_context", pa.float64()),
        ("p_model", pa.float64()),
        ("quality", pa.float64()),
        ("bad_image", pa.bool_()),
        ("known", pa.int32()),
        ("order", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("drivers", DRIVER_LIST),
        ("similar_alert_id", pa.int64()),
        ("similar_class", pa.string()),
        ("model", pa.string()),
        ("kafka_topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
    ]
)
"""Columns of a list of outliers; see the module, and `finkray.outliers.model.SCORES`."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What a list is to have.

    Attributes
    ----------
    night
        as 2026-11-24; None: the newest night that has scores
    top
        how many objects at most
    contexts
        names of contexts
    survey
        name of the survey; None is all
    """

    night: str | None
    top: int
    contexts: tuple[str, ...]
    survey: str | None = None


def outliers_of(
    archive: Storage,
    *,
    night: str | None,
    top: int,
    context: str | None,
    survey: str | None,
    results: str = "outliers",
    mute: Collection[str] = (),
    keep: bool = False,
) -> pa.Table:
    """Return the list of a night of an archive: columns of `LISTED`, the strangest object first.

    Parameters
    ----------
    archive
        its storage
    night
        as 2026-11-24; None: the newest night that has scores
    top
        how many objects at most
    context
        a name of `finkray.outliers.context.CONTEXTS`; None is all
    survey
        its name; None is all
    results
        name of the results, or ``name/version``
    mute
        classes of `classify` whose objects are left out
    keep
        whether the ranking is written down beside the results, so that the next call reads less

    Raises
    ------
    ServiceError
        If there are no such results, or classes are muted and there are none of `classify`.
    ValueError
        If there is no such context or survey, or `top` is less than 1.
    StorageError
        If a file cannot be read.
    """
    if top < 1:
        raise ValueError(f"top = {top}: expected at least 1")
    if survey is not None and survey not in FEATURE_LISTS:
        raise ValueError(f"{survey!r} is no survey: expected one of {', '.join(FEATURE_LISTS)}")
    # Some objects are muted, so the class is looked up of more objects than are wanted.
    looked_up = max(5 * top, _LOOKED_UP) if mute else top
    wanted = ListRequest(night, looked_up, contexts_named(context), survey)
    ranking = Ranking(find_store(archive, results))
    if ranking.catch_up(files=sys.maxsize) and keep:
        ranking.keep()
    table = listed(ranking.groups, wanted)
    ids = {*table["alert_id"].to_pylist(), *table["similar_alert_id"].to_pylist()} - {None}
    classes = classes_of(archive, ids, needed=bool(mute))
    return muted(table, classes, mute, top)


def listed(groups: Groups, wanted: ListRequest) -> pa.Table:
    """Return the list of a night: columns of `LISTED`, the strangest object first."""
    nights = {night for survey, night, _ in groups if wanted.survey in (None, survey)}
    night = wanted.night or max((each for each in nights if each[:1].isdigit()), default=None)
    ranked: list[tuple[Candidate, float, float]] = []
    for (survey, of_night, _), group in sorted(groups.items()):
        if of_night != night or wanted.survey not in (None, survey):
            continue
        calibration = CalibrationScores(_with_nights_before(groups, group))
        for each in group.candidates():
            if each.context in wanted.contexts:
                p_night = calibration.p(each.plain_score, None)
                p_context = calibration.p(each.plain_score, each.context)
                ranked.append((each, p_night, p_context))
    chosen = _interleaved(ranked, wanted.top)
    rows = [_row(number, *each) for number, each in enumerate(chosen, start=1)]
    return pa.Table.from_pylist(rows, LISTED)


class CalibrationScores:
    """The distribution of the scores of a night's alerts, from which p-values follow.

    Parameters
    ----------
    groups
        the night, and those before it that are added
    """

    def __init__(self, groups: Sequence[NightGroup]) -> None:
        self._counts: dict[str | None, dict[int, int]] = {None: {}}
        for group in groups:
            for context, counts in group.plain.items():
                for bin_, number in counts.items():
                    for key in (None, context):
                        into = self._counts.setdefault(key, {})
                        into[bin_] = into.get(bin_, 0) + number

    def p(self, score: float, context: str | None) -> float:
        """Return the p-value of a score: the share of alerts that score at least as high.

        The alert itself counts.

        Alerts in the bin of the score count as higher.
        """
        counts = self._counts.get(context, {})
        bin_ = score // BIN
        above = sum(number for each, number in counts.items() if each >= bin_)
        return (1 + above) / (1 + sum(counts.values()))


def _with_nights_before(groups: Groups, group: NightGroup) -> list[NightGroup]:
    """Return the night, and the nights before with the same model if it has too few alerts."""
    out, alerts = [group], _alerts(group)
    before = sorted(
        (
            other
            for other in groups.values()
            if (other.survey, other.model) == (group.survey, group.model)
            and other.night < group.night
        ),
        key=lambda other: other.night,
        reverse=True,
    )
    for other in before[:NIGHTS_BEFORE]:
        if alerts >= ENOUGH:
            break
        out.append(other)
        alerts += _alerts(other)
    return out


def _alerts(group: NightGroup) -> int:
    return sum(sum(counts.values()) for counts in group.plain.values())


def _interleaved(
    ranked: Iterable[tuple[Candidate, float, float]], top: int
) -> list[tuple[Candidate, float, float, str]]:
    """Return the objects of the list, half of them by what thumbs like if there are thumbs.

    Half of a list stays by the score without thumbs, or nothing new would ever be found.
    """
    every = list(ranked)
    plain = sorted(
        every,
        key=lambda each: (is_bad(each[0].quality), each[1], -each[0].plain_score, each[0].alert_id),
    )
    taught = sorted(
        every, key=lambda each: (is_bad(each[0].quality), -each[0].score, each[0].alert_id)
    )
    has_thumbs = any(each.score != each.plain_score for each, *_ in every)
    queues = {"score": iter(plain)} | ({"thumbs": iter(taught)} if has_thumbs else {})
    out: list[tuple[Candidate, float, float, str]] = []
    seen: set[tuple[str, str]] = set()
    names = list(queues)
    while len(out) < top and names:
        name = names[len(out) % len(names)]
        for each, p_night, p_context in queues[name]:
            key = (each.survey, each.object_id)
            if key not in seen:
                seen.add(key)
                out.append((each, p_night, p_context, name))
                break
        else:
            names.remove(name)
    return out


def _row(
    rank: int, candidate: Candidate, p_night: float, p_context: float, order: str
) -> dict[str, object]:
    about = FEATURE_LISTS[candidate.survey]
    features = (*about.features, *about.curve_features)
    return {
        **candidate.model_dump(),
        "rank": rank,
        "p_night": p_night,
        "p_context": p_context,
        "bad_image": is_bad(candidate.quality),
        "order": order,
        "reasons": [words(features, driver) for driver in candidate.drivers],
    }
