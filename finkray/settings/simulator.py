"""Settings `[simulator]`: a real Kafka on this machine, and the alerts that are played into it."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import ByteSize, Field, PositiveFloat, PositiveInt, field_validator

from finkray.settings.kafka import TOPIC_NAME
from finkray.settings.section import Section
from finkray.surveys import SURVEYS

PACE: Final = re.compile(r"max|realtime|original|x\d+(\.\d+)?|\d+(\.\d+)?(x|/s)")

Share = Annotated[float, Field(ge=0, le=1)]
"""Share of all, from 0 to 1."""


def _has_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


class SimulatorSettings(Section):
    """A real Kafka on this machine, and the alerts that are played into it."""

    kafka_port: int = Field(
        0, ge=0, le=65535, description="Port of its Kafka; 0 takes any free one"
    )
    survey: Literal["ztf", "lsst"] = Field(
        "ztf", description="Survey of the alerts: `ztf` or `lsst`"
    )
    topic: str = Field(
        "",
        description="Topic to play into; `{date}` is today's UTC date as YYYYMMDD; empty is "
        "`ztf_{date}_programid1` or `lsst_alerts_{date}`",
    )
    partitions: PositiveInt = Field(4, description="Partitions of the topic")
    alerts: int = Field(10_000, ge=0, description="Number of alerts; 0 plays without end")
    alerts_per_visit: PositiveInt = Field(
        10_000, le=100_000, description="Approximate number of alerts in a visit"
    )
    plane_alerts: PositiveInt = Field(
        32_000,
        le=100_000,
        description="Approximate number of alerts in a visit to the Galactic plane",
    )
    visit_s: PositiveFloat = Field(37.0, description="Seconds from one visit to the next")
    pace: str = Field(
        "max",
        description="`max`; `realtime` (a visit each `visit_s`), a factor `x10` of it; `original` "
        "(as the exposures came), a factor `10x` of it; or a rate `500/s`",
    )
    seed: int = Field(1, ge=0, description="The same seed makes the same alerts")
    data: str = Field(
        "",
        description="Folder or tar of Avro packets to play; empty plays generated ones",
    )
    strange: float = Field(
        0.0,
        ge=0,
        le=50,
        description="Percentage of the alerts that are of nine strange kinds; 0 makes one of these "
        "kinds alone, 1 % of the alerts",
    )
    poison: Share = Field(
        0.0, description="Broken messages between the alerts, as a share of these"
    )
    duplicates: Share = Field(
        0.0, description="Share of the alerts that are sent again, up to 1000 alerts later"
    )
    out_of_order: Share = Field(
        0.0,
        description="Share of the alerts that are sent up to 1000 alerts after their turn, with "
        "the timestamp of their turn",
    )
    late: Share = Field(
        0.0, description="Share of the alerts whose Kafka timestamp is 1 to 48 hours ago"
    )
    oversize: Share = Field(
        0.0, description="Share of the alerts that are also sent with a size of `oversize_bytes`"
    )
    oversize_bytes: ByteSize = Field(
        ByteSize(9_000_000),
        ge=1024,
        le=9_800_000,
        description="Size of these; its Kafka accepts less than 10 MB",
    )
    schema_bump: str = Field(
        "",
        description="When packets of the next schema version begin (ZTF 3.3 to 4.02, LSST 10.0 to "
        "11.0): after this number of alerts, or at a UTC time; empty is never",
    )
    transactions: Share = Field(
        0.0,
        description="Share of transactions that are aborted and sent again; 0 sends without "
        "transactions",
    )
    manifest: str = Field(
        "",
        description="Folder, empty or new, for a record of what was played and what each object "
        "is, for `finkray simulator check`; empty writes nothing",
    )
    schema_folder: str = Field(
        "",
        description="Folder in which LSST's schemas are written for the archive; empty is one that "
        "`finkray start archive --simulator` finds",
    )

    @field_validator("pace")
    @classmethod
    def _pace_is_known(cls, pace: str) -> str:
        if not PACE.fullmatch(pace):
            raise ValueError(
                'expected "max", "realtime", a factor of it "x10", "original", a factor of it '
                '"10x", or a rate "500/s"'
            )
        return pace

    @field_validator("topic")
    @classmethod
    def _topic_can_be_made(cls, topic: str) -> str:
        if topic and not TOPIC_NAME.fullmatch(topic.replace("{date}", "20260131")):
            raise ValueError("expected a name that Kafka allows, with or without {date}")
        return topic

    @field_validator("schema_bump")
    @classmethod
    def _bump_has_a_time(cls, text: str) -> str:
        if text and not text.isdecimal() and not _has_zone(text):
            raise ValueError("expected a number of alerts, or a time such as 2026-01-31T00:00:00Z")
        return text

    @property
    def topic_pattern(self) -> str:
        """Return the topic, in which `{date}` may stand for a date."""
        return self.topic or SURVEYS[self.survey].simulated_topic
