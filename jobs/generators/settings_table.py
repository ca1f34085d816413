"""`python -m jobs.generators.settings_table`: write the table of settings into docs/settings.md.

The table is made from the model, so that the two cannot differ; a test compares them.
"""

import sys
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ByteSize, SecretStr

from finkray.settings.model import Settings

PAGE: Final = Path(__file__).parents[2] / "docs" / "settings.md"
MARK: Final = "<!-- made by `python -m jobs.generators.settings_table`; do not edit below -->\n"


def settings_table() -> str:
    """All settings as Markdown: one table for each section of the file."""
    parts = []
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)  # noqa: S101
        assert issubclass(model, BaseModel)  # noqa: S101
        rows = [
            f"| `{name}` | `{_shown(entry.default)}` | {_cell(entry.description or '')} |"
            for name, entry in model.model_fields.items()
        ]
        parts.append(
            f"\n## [{section}]\n\n{_cell((model.__doc__ or '').strip())}\n\n"
            "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "".join(parts)


def page(text: str) -> str:
    """Return the page with a new table; the text above the mark stays."""
    above, mark, _ = text.partition(MARK)
    if not mark:
        raise ValueError(f"{PAGE} has no line {MARK!r}")
    return above + mark + settings_table()


def _shown(default: Any) -> str:
    """Return a default as TOML."""
    if isinstance(default, ByteSize):
        return f'"{default.human_readable(separator=" ").replace(".0", "")}"'
    if isinstance(default, SecretStr):
        return '""'
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return "[" + ", ".join(f"'{item}'" for item in default) + "]"
    return f'"{default}"' if isinstance(default, str) else str(default)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
