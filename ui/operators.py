"""What a signed-in operator may do with filters from the page, and who is one."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # they load Arrow
    from finkray.streamout.published import PublishedFilter, State


@dataclass(frozen=True, slots=True)
class FilterDraft:
    """A filter that an operator wrote on the page.

    Attributes
    ----------
    file_name
        its name, and what it is: `bright.py`, `bright.toml`, `mine.csv`, `mine.moc`
    text
        of the file
    topic
        where the alerts go that pass
    projection, wire
        the form of the messages, as `finkray filter publish` takes them
    """

    file_name: str
    text: str
    topic: str
    projection: str
    wire: str


class FilterOperations(Protocol):
    """Changes published filters. Each function may be slow and raises errors of finkray."""

    @property
    def operators(self) -> frozenset[str]:
        """Names of the users who may change filters."""

    def published(self) -> "tuple[PublishedFilter, ...]":
        """Return the published filters, by name."""

    def check(self, draft: FilterDraft) -> str:
        """Return what a filter reads and how many of the last alerts pass; publish nothing."""

    def publish(self, draft: FilterDraft) -> str:
        """Publish a filter, or a new version of one; return what was published."""

    def set_state(self, name: str, state: "State") -> str:
        """Pause, resume or retire a filter; return what was done."""


def operator_refusal(user: str | None, operators: Collection[str]) -> str:
    """Return why a user may not change filters; empty if the user may.

    Parameters
    ----------
    user
        who is signed in; None if the page asks nobody to sign in
    operators
        who may, by `ui.operators`
    """
    if user is not None and user in operators:
        return ""
    if not operators:
        return "the page changes no filters: ui.operators names nobody"
    if user is None:
        return "the page changes no filters: it asks for no sign-in (ui.password_file)"
    return f"{user} may not change filters: ui.operators does not name this user"
