"""The coordinate frames of a VOTable, in each of the forms in which documents declare them.

| form | where |
|---|---|
| COOSYS, at any level | VOTable 1.0 to 1.1, and again since 1.4 |
| a GROUP with PARAMs and FIELDrefs, of utypes `stc:…` | IVOA's note on STC in VOTable, 2010 |
| elements of STC's own XML, such as `<stc:FK5>` in `<stc:SpaceFrame>` | before that |
| ATTRIBUTEs with the dmrole `coords:SpaceFrame.spaceRefFrame` | MIVOT, IVOA 2023 |

A column belongs to the frame that it refers to, or to that of a GROUP that refers to the column. A
frame that names no column holds for every column that refers to none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from catalogs.formats.table_file import Frame

_REF_FRAME: Final = "spaceframe.coordrefframe"
_STC_NAME: Final = "NAME"
"""The element of a SpaceFrame of STC that may come before its frame."""

_NO_FRAME: Final = Frame("")

_OPEN_STC: Final = Frame("STC")
"""A SpaceFrame whose frame did not come yet."""


@dataclass
class _Group:
    """A GROUP that is open: its ID, what it refers to, its frame and the columns it names."""

    id: str
    reference: str
    frame: Frame = _NO_FRAME
    columns: list[str] = field(default_factory=list)


@dataclass
class Frames:
    """Collects the frames of a document from the events of an XML parser.

    Attributes
    ----------
    of_columns
        for the ID of a column, the references that GROUPs with it have; of the table that is read
    """

    of_columns: dict[str, list[str]] = field(default_factory=dict)
    _by_id: dict[str, Frame] = field(default_factory=dict)
    _by_group: dict[str, Frame] = field(default_factory=dict)
    _unnamed: list[Frame] = field(default_factory=list)
    _groups: list[_Group] = field(default_factory=list)
    _stc: Frame | None = None
    _stc_id: str = ""

    def resolve(self, references: Sequence[str]) -> tuple[Frame, ...]:
        """Return the frames that a column refers to; all that name no column if it has none."""
        known = {**self._by_id, **self._by_group}
        named = [known[reference] for reference in references if reference in known]
        return tuple(named or [*self._by_id.values(), *self._unnamed])

    def start(self, path: Sequence[str], attributes: Mapping[str, str]) -> None:
        """Take in the start of an element; `path` ends with its name, in capitals."""
        tag, above = path[-1], path[-2] if len(path) > 1 else ""
        if tag == "COOSYS":
            self._keep(
                attributes.get("ID", ""),
                Frame(
                    f"COOSYS {attributes.get('ID', '')}".strip(),
                    attributes.get("system", ""),
                    attributes.get("equinox", ""),
                    attributes.get("epoch", ""),
                ),
            )
        elif tag == "GROUP":
            self._groups.append(_Group(attributes.get("ID", ""), attributes.get("ref", "")))
        elif tag == "FIELDREF" and self._groups:
            self._groups[-1].columns.append(attributes.get("ref", ""))
        elif tag == "PARAM" and self._groups:
            group = self._groups[-1]
            group.frame = _with_param(group.frame, attributes)
        elif tag == "ATTRIBUTE":
            self._mivot(attributes)
        elif tag == "ASTROCOORDSYSTEM":
            self._stc_id = attributes.get("ID", "")
        elif tag == "SPACEFRAME":
            self._stc = _OPEN_STC
        elif above == "SPACEFRAME" and self._stc == _OPEN_STC and tag != _STC_NAME:
            self._stc = Frame(f"STC {tag}", tag)

    def text(self, path: Sequence[str], text: str) -> None:
        """Take in text of the element at the end of the path."""
        if self._stc is not None and path[-1] == "EQUINOX":
            self._stc = replace(self._stc, equinox=(self._stc.equinox + text).strip())
        elif path[-1] == "EPOCH" and "ASTROCOORDS" in path and text.strip():
            self._unnamed.append(Frame("STC Epoch", epoch=text.strip()))

    def end(self, tag: str) -> None:
        """Take in the end of an element."""
        if tag == "SPACEFRAME" and self._stc is not None:
            self._keep(self._stc_id, self._stc)
            self._stc, self._stc_id = None, ""
        elif tag == "GROUP" and self._groups:
            self._end_group(self._groups.pop())

    def _end_group(self, group: _Group) -> None:
        own = group.frame
        says_something = own != _NO_FRAME
        if says_something and not group.columns and not group.id and self._groups:
            # A GROUP within that of the columns: it has the frame alone.
            above = self._groups[-1]
            above.frame = own if above.frame == _NO_FRAME else above.frame
            return
        references = [group.reference] if group.reference else []
        if says_something and group.columns:
            key = f"GROUP {len(self._by_group)}"
            self._by_group[key] = own
            references.append(key)
        if says_something and (group.id or not group.columns):
            self._keep(group.id, own)
        for column in group.columns:
            self.of_columns.setdefault(column, []).extend(references)

    def _keep(self, name: str, frame: Frame) -> None:
        if name:
            self._by_id[name] = frame
        else:
            self._unnamed.append(frame)

    def _mivot(self, attributes: Mapping[str, str]) -> None:
        role, value = attributes.get("dmrole", "").casefold(), attributes.get("value", "")
        if value and role.endswith("spaceframe.spacerefframe"):
            self._unnamed.append(Frame("MIVOT spaceRefFrame", system=value))
        elif value and role.endswith("spaceframe.equinox"):
            self._unnamed.append(Frame("MIVOT equinox", equinox=value))


def _with_param(frame: Frame, attributes: Mapping[str, str]) -> Frame:
    """Return a frame with what a PARAM of STC's utypes says of it."""
    utype, value = attributes.get("utype", "").casefold(), attributes.get("value", "").strip()
    if not value or "stc:" not in utype:
        return frame
    if utype.endswith(_REF_FRAME):
        return replace(frame, declared_by="CoordRefFrame", system=value)
    if utype.endswith(f"{_REF_FRAME}.equinox"):
        return replace(frame, declared_by="CoordRefFrame", equinox=value)
    if utype.endswith(".epoch"):
        kind = frame.epoch if frame.epoch in ("J", "B") else ""
        return replace(frame, declared_by=frame.declared_by or "Epoch", epoch=kind + value)
    if utype.endswith(".epoch.yeardef"):
        # The year itself may come before or after.
        return replace(frame, declared_by=frame.declared_by or "Epoch", epoch=value + frame.epoch)
    return frame
