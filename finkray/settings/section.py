"""Base class of the tables of the settings file, sizes, and options with secrets."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from finkray.errors import SettingsError
from finkray.settings.reader import SECRET_NAME

MiB: Final = 1024 * 1024

_LONGEST_S: Final = 1e9


def _hide_secret_options(raw: Any) -> Any:
    """Wrap the values that must not be shown; pydantic refuses what is not a table."""
    if not isinstance(raw, Mapping):
        return raw
    options = dict(raw)
    for key, value in raw.items():
        if isinstance(value, SecretStr):
            continue
        if not isinstance(value, str | bool | int | float):
            raise ValueError(f"{key}: expected text, a number, true or false")  # noqa: TRY004
        if SECRET_NAME.search(str(key)):
            options[key] = SecretStr(str(value))
    return options


Options = Annotated[
    dict[str, InstanceOf[SecretStr] | bool | int | float | str],
    BeforeValidator(_hide_secret_options),
]
"""Options that are passed on as they are; secret ones are masked wherever they are shown."""


Resources = dict[str, Annotated[float, Field(gt=0)]]
"""Custom resources of Ray that a process requests, by name."""


class Section(BaseModel):
    """One table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*")
    @classmethod
    def _can_be_used(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what no clock, no file and no address takes, before a job fails on it hours later.

        A wait of an infinite number of seconds is an error of Python, as is a path with a null
        character.
        """
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("expected a finite number")
        if isinstance(value, float) and value > _LONGEST_S and str(info.field_name).endswith("_s"):
            raise ValueError(f"expected at most {_LONGEST_S:,.0f} seconds, which are 31 years")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("expected a text without a null character")
        return value


def read_secret(setting: str, file: str, value: SecretStr) -> str:
    """Return a secret: the value of a setting, or the content of the file that another one names.

    Parameters
    ----------
    setting
        name of the setting that names the file, for the error message
    file
        the file; empty if there is none
    value
        the secret if there is no file

    Raises
    ------
    SettingsError
        If the file cannot be read or is empty.
    """
    if not file:
        return value.get_secret_value()
    try:
        secret = Path(file).read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise SettingsError(f"{setting} = {file!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{setting} = {file!r} is no text in UTF-8") from error
    if not secret:
        raise SettingsError(f"{setting} = {file!r} is empty")
    return secret


def reveal(options: Options) -> dict[str, str | bool | int | float]:
    """Return options with the secrets in clear, for the library that needs them."""
    return {
        key: value.get_secret_value() if isinstance(value, SecretStr) else value
        for key, value in options.items()
    }
