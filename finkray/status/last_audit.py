"""The result of the last audit of an archive, as `finkray audit` keeps it for the page."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class LastAudit(BaseModel):
    """The result of an audit.

    Attributes
    ----------
    at
        when it was made, UTC
    balanced
        whether nothing was wrong
    archived, dead_lettered, difference
        of its balance sheet
    findings
        how many ranges and files were wrong
    deep
        the range whose files were opened; "" if none were
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: datetime
    balanced: bool
    archived: int
    dead_lettered: int
    difference: int
    findings: int
    deep: str = ""
