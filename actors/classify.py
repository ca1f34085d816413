"""The service `classify`: the class of each alert, and the rule that gave it.

The rules are in `actors.classes`, the types of catalogues in `actors.object_types`.
"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

import finkray
from actors.classes import CLASSES, TypeAnswer, classes
from actors.crossmatch import match_current
from actors.matching import CATALOG_UNREADABLE, NOT_CHECKED, log_unchecked, single_array
from actors.object_types import simbad_type
from actors.settings import catalogs_of
from catalogs.catalog import Catalog, Catalogs
from catalogs.description import TypeWords
from finkray import adapter

_NO_TEXT: Final = pa.scalar(None, pa.string())


class Classify(finkray.Service):
    """Give each alert of ZTF or LSST one class, with the rule that gave it.

    The service reads the catalogues whose descriptions have `[types]`. A catalogue or a version
    that is added is used from the next batch on.
    """

    name = "classify"
    version = "1"
    columns = adapter.columns("detection", "solar_system", "neighbour")
    shares = ("catalogs",)
    output = CLASSES

    def setup(self) -> None:
        """Open the folder of the catalogues; shards are read when alerts need them."""
        self._catalogs = catalogs_of(self.shared)

    def process(self, alerts: pa.Table) -> pa.Table:
        """Return the class of each alert."""
        positions = adapter.positions(alerts)
        names = self._catalogs.in_use()
        all_answers = [type_answer(positions, self._catalogs, name) for name in names]
        answers = [answer for answer in all_answers if answer is not None]
        return classes(adapter.solar_system(alerts), adapter.neighbours(alerts), answers)


def type_answer(positions: pa.Table, catalogs: Catalogs, name: str) -> TypeAnswer | None:
    """Return the answer of a catalogue for the types of alerts; None if it has no types.

    A catalogue that cannot be opened counts as not checked: it might have types.
    """
    try:
        catalog = catalogs.current(name)
        if not catalog.types.given:
            return None
        return _with_types(catalog, match_current(positions, catalogs, name))
    except Exception as error:  # noqa: BLE001 - the other catalogues go on
        log_unchecked(name, error)
        return _unreadable(name, positions.num_rows)


def _with_types(catalog: Catalog, answer: pa.Table) -> TypeAnswer:
    """Return the answer of a catalogue with the types of its sources."""
    texts = _texts(answer, catalog)
    # The answer names its version, which may be newer than that of `catalog`.
    version = answer["version"][0].as_py() if answer.num_rows else catalog.version
    return TypeAnswer(
        catalog=catalog.name,
        version=version,
        status=single_array(answer["status"]),
        reason=single_array(answer["reason"]),
        separation_arcsec=single_array(answer["separation_arcsec"]),
        texts=texts,
        types=_simbad_types(texts, "simbad" if catalog.types.every else catalog.types.words),
    )


def _texts(answer: pa.Table, catalog: Catalog) -> pa.Array:
    """Return the catalogue's own type of each nearest source."""
    nearest = single_array(answer["nearest"])
    if catalog.types.every:
        return pc.if_else(pc.is_valid(nearest), catalog.types.every, _NO_TEXT)
    column = catalog.types.column
    if nearest.type.get_field_index(column) < 0:  # a newer version may lack it
        return pa.nulls(len(nearest), pa.string())
    text = pc.utf8_trim_whitespace(pc.struct_field(nearest, column).cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), _NO_TEXT, text)


def _simbad_types(texts: pa.Array, words: TypeWords) -> pa.Array:
    """Return SIMBAD's types; each distinct text is looked up once."""
    coded = texts.dictionary_encode()
    known = [simbad_type(words, text) for text in coded.dictionary.to_pylist()]
    return pa.array(known, pa.string()).take(coded.indices)


def _unreadable(name: str, alerts: int) -> TypeAnswer:
    nothing = pa.nulls(alerts, pa.string())
    return TypeAnswer(
        catalog=name,
        version=None,
        status=pa.array([NOT_CHECKED] * alerts, pa.string()),
        reason=pa.array([CATALOG_UNREADABLE] * alerts, pa.string()),
        separation_arcsec=pa.nulls(alerts, pa.float64()),
        texts=nothing,
        types=nothing,
    )
