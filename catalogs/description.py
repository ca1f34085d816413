"""The description of a catalogue: read from a TOML file, of which `docs/catalogs.md` has examples.

[catalog]
name = "gcvs"
version = "2023-09"
radius_arcsec = 1.5
columns = ["VarType"]

[source]
path = "gcvs.parquet"

[position]
ra = "ra"
dec = "dec"
"""

import json
import math
import re
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from catalogs.units import read_unit
from finkray.host.home import expanded
from finkray.settings.reader import read_settings
from finkray.settings.section import Section
from finkray.versions import VERSION

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""A name becomes a folder, and stands in the results."""


OWN_COLUMNS: Final = (
    "_healpix_29",
    "ra_deg",
    "dec_deg",
    "pm_ra_mas_yr",
    "pm_dec_mas_yr",
)
"""Columns of the shards beside those that are carried."""

WIDEST_ARCSEC: Final = 600.0
"""A wider radius needs other shards and margins than these."""

Format = Literal["", "parquet", "fits", "votable", "csv", "hats"]

TypeWords = Literal["simbad", "gcvs", "vsx", "4lac"]


class CatalogSection(Section):
    """Name, version, radius of a match, and the columns that an answer carries."""

    name: str = Field(description="Small letters, digits and _; stands in the results")
    version: str = Field(description="Stands in each answer; a new one for each new edition")
    radius_arcsec: PositiveFloat = Field(
        le=WIDEST_ARCSEC, description="A source within this separation is a match"
    )
    id: str = Field("", description="Column that names a source; unique if given")
    columns: tuple[str, ...] = Field((), description="Columns that an answer carries of a source")
    shard_rows: PositiveInt = Field(100_000, description="About how many rows a shard has at most")

    @field_validator("name")
    @classmethod
    def _name_is_a_column(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("expected small letters, digits and _, a letter first")
        return name

    @field_validator("version")
    @classmethod
    def _version_is_a_folder(cls, version: str) -> str:
        if not VERSION.fullmatch(version):
            raise ValueError("expected letters, digits, dots, - and _")
        return version

    @field_validator("columns")
    @classmethod
    def _columns_are_free(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if taken := sorted(set(columns) & set(OWN_COLUMNS)):
            raise ValueError(f"{', '.join(taken)}: the shards have columns of this name already")
        if len(set(columns)) != len(columns):
            raise ValueError("a column is named twice")
        return columns

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns of a source in an answer: its id first, if it has one."""
        names = (self.id, *self.columns) if self.id else self.columns
        return tuple(dict.fromkeys(names))


class SourceSection(Section):
    """The files that the catalogue is read from."""

    path: str = Field(
        min_length=1,
        description="File, folder or pattern with *; relative to the description",
    )
    format: Format = Field("", description="parquet, fits, votable, csv or hats; empty: by suffix")
    delimiter: str = Field(
        ",", min_length=1, max_length=1, description="Character between two values of a CSV file"
    )
    table: str = Field(
        "",
        description="Name or number of the table to read, where a FITS file or VOTable has several",
    )
    rows: NonNegativeInt = Field(
        0, description="How many rows the files have together, where that is known; 0: not known"
    )


class PositionSection(Section):
    """ICRS positions and their epoch."""

    ra: str = Field(min_length=1, description="Column of the right ascension")
    dec: str = Field(min_length=1, description="Column of the declination")
    ra_unit: str = Field("deg", description="deg, rad, hourangle (or h), arcsec, mas, …")
    dec_unit: str = Field("deg", description="deg, rad, arcsec, mas, …")
    epoch_year: float = Field(
        2000.0, ge=1800, le=2200, description="Julian year that the positions are for"
    )

    @field_validator("ra_unit", "dec_unit")
    @classmethod
    def _unit_is_an_angle(cls, unit: str) -> str:
        _check_unit(unit, "deg", "an angle, such as deg, rad or hourangle")
        return unit


class MotionSection(Section):
    """Proper motions, where the catalogue gives them."""

    ra: str = Field("", description="Column of the proper motion in right ascension; empty: none")
    dec: str = Field("", description="Column of the proper motion in declination")
    unit: str = Field("mas/yr", description="mas/yr, arcsec/yr, deg/yr, …")
    includes_cos_dec: bool = Field(
        True,  # noqa: FBT003 - pydantic's default
        description="Whether that in right ascension is multiplied by cos(dec), as Gaia's pmra",
    )
    until_year: float = Field(
        2040.0,
        ge=1800,
        le=2200,
        description="Alerts are matched until this year, and for as long before the epoch: the "
        "margins of the shards are made wide enough",
    )

    @field_validator("unit")
    @classmethod
    def _unit_is_a_motion(cls, unit: str) -> str:
        _check_unit(unit, "mas/yr", "an angle by a time, such as mas/yr")
        return unit

    @model_validator(mode="after")
    def _both_or_none(self) -> "MotionSection":
        if bool(self.ra) != bool(self.dec):
            raise ValueError("expected both ra and dec, or neither")
        return self

    @property
    def given(self) -> bool:
        """Whether the catalogue has proper motions."""
        return bool(self.ra)


class TypesSection(Section):
    """Which type of object the sources are, for a classification; empty if that is not known."""

    column: str = Field("", description="One of catalog.columns, with the type of each source")
    words: TypeWords = Field("simbad", description="Whose types they are: simbad, gcvs, vsx, 4lac")
    every: str = Field("", description="SIMBAD's type of all sources alike, in place of a column")

    @model_validator(mode="after")
    def _one_of_both(self) -> "TypesSection":
        if self.column and self.every:
            raise ValueError("expected column or every, not both")
        return self

    @property
    def given(self) -> bool:
        """Whether the types of the sources are known."""
        return bool(self.column or self.every)


class ChecksSection(Section):
    """What a build does about sources, and about words of the file, that cannot be right."""

    null_positions: Literal["refuse", "drop"] = Field(
        "refuse", description="Sources without a position"
    )
    duplicate_ids: Literal["refuse", "drop", "keep"] = Field(
        "refuse", description="Sources whose id an earlier one has; drop keeps the first"
    )
    placeholder_positions: Literal["refuse", "drop", "keep"] = Field(
        "refuse",
        description="Positions that stand for a missing one: -999 and the like, or three and more "
        "sources at (0, 0) or (-1, -1)",
    )
    declarations: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="A unit, frame, equinox or epoch in the file that contradicts the description",
    )
    integrity: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="A file that may be damaged or cut short: a FITS checksum that differs, a CSV "
        "file whose last line has no end",
    )
    unlikely_units: Literal["refuse", "accept"] = Field(
        "refuse",
        description="Positions that look as if they were in other units than the given ones",
    )


class Description(Section):
    """All that is known of a catalogue before its files are read."""

    catalog: CatalogSection
    source: SourceSection
    position: PositionSection
    proper_motion: MotionSection = MotionSection()
    types: TypesSection = TypesSection()
    checks: ChecksSection = ChecksSection()

    @model_validator(mode="after")
    def _margins_are_for_later(self) -> "Description":
        span = self.proper_motion.until_year - self.position.epoch_year
        if self.proper_motion.given and span < 1:
            raise ValueError("proper_motion.until_year: expected a year after position.epoch_year")
        return self

    @model_validator(mode="after")
    def _types_are_carried(self) -> "Description":
        if self.types.column and self.types.column not in self.catalog.carried:
            raise ValueError("types.column: expected one of catalog.columns")
        return self

    @property
    def span_years(self) -> float:
        """How far from the epoch positions are carried; infinite where nothing moves."""
        if not self.proper_motion.given:
            return math.inf
        return self.proper_motion.until_year - self.position.epoch_year

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are read from the source."""
        motion = (self.proper_motion.ra, self.proper_motion.dec) if self.proper_motion.given else ()
        names = (self.position.ra, self.position.dec, *motion, *self.catalog.carried)
        return tuple(dict.fromkeys(names))

    def to_json(self) -> str:
        """Return the description as text that `from_json` reads."""
        return self.model_dump_json(indent=2)


def read_description(path: Path) -> Description:
    """Read a description; the path of its source becomes absolute.

    Raises
    ------
    SettingsError
        With one line for each thing that is wrong.
    """
    description = read_settings(Description, path, {}, {})
    source = expanded(description.source.path)
    where = str(source if source.is_absolute() else (path.parent / source).absolute())
    return description.model_copy(
        update={"source": description.source.model_copy(update={"path": where})}
    )


def from_json(text: str) -> Description:
    """Return the description that `Description.to_json` wrote."""
    tables: dict[str, Any] = json.loads(text)
    return Description.model_validate(tables)


def _check_unit(text: str, like: str, expected: str) -> None:
    if read_unit(text, like) is None:
        raise ValueError(f"expected {expected}")
