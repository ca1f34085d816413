"""The models of an archive, and which one of a survey is in use.

    outliers/models/<survey>/<version>/         a model: see `finkray.outliers.files`
    outliers/models/<survey>/uses/<number>.json what was put in use, when; the highest counts
    outliers/models/<survey>/user=<name>/…      the same of a user or group with an own model

A model is never changed. An entry is created exclusively, so of two commands that put a model in
use at once one is first, the other one follows it or is refused; the history is kept whole.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from finkray.errors import OutlierError
from finkray.outliers.files import Manifest, load, read_manifest, save
from finkray.outliers.model import OutlierModel
from finkray.storage.contract import Storage

log = logging.getLogger(__name__)

_USER: Final = "user="


class Use(BaseModel):
    """An entry of the history: a model was put in use, or the one before it was again."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    action: Literal["use", "revert"]
    version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model of the store.

    Attributes
    ----------
    version
        name of its folder: the digest of its data
    manifest
        what its files are
    in_use
        whether alerts are scored with it now
    """

    version: str
    manifest: Manifest
    in_use: bool

    def to_json(self) -> dict[str, Any]:
        """Return its version, whether it is in use, and what its manifest has."""
        manifest: dict[str, Any] = json.loads(self.manifest.model_dump_json())
        return {"version": self.version, "in_use": self.in_use, **manifest}


class ModelStore:
    """The models of one survey.

    Parameters
    ----------
    storage
        of the folder `outliers` of an archive
    survey
        name of the survey
    user
        whose model in use is meant; None is the one of all. A user, or a group, has a model of
        their own from the first `use` on; until then theirs is the one of all
    """

    def __init__(self, storage: Storage, survey: str, user: str | None = None) -> None:
        self._folder = storage.below(f"models/{survey}")
        self._survey = survey
        self._uses = "uses" if user is None else f"{_USER}{quote(user, safe='')}"

    def users(self) -> list[str]:
        """Return the users and groups that have a model of their own."""
        folders = self._folder.folders("")
        return sorted(unquote(each.removeprefix(_USER)) for each in folders if _is_of_user(each))

    def models(self) -> list[StoredModel]:
        """Return all models, the oldest first; a damaged one is logged and left out."""
        in_use = self.in_use()
        found = []
        for folder in self._folder.folders(""):
            if _is_of_user(folder):
                continue
            try:
                manifest = read_manifest(self._folder.below(folder))
            except OutlierError as error:
                log.warning("%s", error)
                continue
            if manifest is not None:
                found.append(StoredModel(folder, manifest, in_use=folder == in_use))
        return sorted(found, key=lambda model: str(model.manifest.facts.get("trained_at", "")))

    def add(self, model: OutlierModel, facts: Mapping[str, Any]) -> str:
        """Keep a model, and return its version; one that is there already stays as it is."""
        now = {"trained_at": datetime.now(UTC).isoformat(timespec="seconds")}
        save(model, self._folder.below(model.digest), {**now, **facts})
        return model.digest

    def load(self, version: str, threads: int = 1) -> OutlierModel:
        """Read a model.

        Raises
        ------
        OutlierError
            If there is no such model, or it is damaged or of another survey.
        """
        self._refuse_unknown(version)
        return load(self._folder.below(version), self._survey, threads)

    def manifest(self, version: str) -> Manifest:
        """Return what the files of a model are.

        Raises
        ------
        OutlierError
            If there is no such model, or it is damaged.
        """
        manifest = read_manifest(self._folder.below(version))
        if manifest is None:
            have = ", ".join(model.version for model in self.models()) or "none"
            raise OutlierError(f"there is no model {version} of {self._survey}; there are: {have}")
        return manifest

    def in_use(self) -> str | None:
        """Return the version with which alerts are scored; None if there is none."""
        stack = _stack(self.history()) or _stack(self._history("uses"))
        return stack[-1] if stack else None

    def history(self) -> list[Use]:
        """Return what was put in use, the oldest first.

        Raises
        ------
        OutlierError
            If an entry is damaged.
        """
        return self._history(self._uses)

    def _history(self, folder: str) -> list[Use]:
        out = []
        for file in self._folder.files(folder):
            try:
                out.append(Use.model_validate_json(self._folder.read(file.path) or b""))
            except ValidationError as error:
                where = f"{self._folder.uri}/{file.path}"
                raise OutlierError(f"{where} is damaged: delete it to forget that use") from error
        return out

    def use(self, version: str) -> None:
        """Score alerts with a model from now on: running services take it with their next batch.

        Raises
        ------
        OutlierError
            If there is no such model, it is damaged, or another command was faster.
        """
        self.load(version)
        if _stack(self.history())[-1:] != [version]:
            self._append("use", version)

    def revert(self) -> str:
        """Put the model in use that was before the present one, and return its version.

        Raises
        ------
        OutlierError
            If there was none, or another command was faster.
        """
        stack = _stack(self.history())
        if len(stack) < 2:
            raise OutlierError(
                f"no other model of {self._survey} was in use before; --survey is that of the model"
            )
        self._append("revert", stack[-2])
        return stack[-2]

    def _append(self, action: Literal["use", "revert"], version: str) -> None:
        number = 1 + max((_number(file.path) for file in self._folder.files(self._uses)), default=0)
        entry = Use(action=action, version=version, at=datetime.now(UTC))
        path = f"{self._uses}/{number:08d}.json"
        if not self._folder.create(path, entry.model_dump_json().encode()):
            raise OutlierError(
                f"another command changed the model of {self._survey} that is in use just now: "
                "look at `finkray outliers models`, and try again"
            )

    def _refuse_unknown(self, version: str) -> None:
        self.manifest(version)


def _stack(history: list[Use]) -> list[str]:
    """Return the models to which `revert` goes back, the one in use last."""
    stack: list[str] = []
    for entry in history:
        if entry.action == "use":
            stack.append(entry.version)
        elif len(stack) > 1:
            stack.pop()
    return stack


def _is_of_user(folder: str) -> bool:
    return folder.startswith(_USER)


def _number(path: str) -> int:
    digits = path.rpartition("/")[2].partition(".")[0]
    return int(digits) if digits.isdigit() else 0
