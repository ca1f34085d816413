"""Commands about what the simulator played: `finkray simulator …`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from finkray.host.exit_codes import CommandExit
from jobs.cli.common import AsJson, console, examples

if TYPE_CHECKING:
    from sim.check.compare import Comparison

_SHOWN: Final = 20

simulator_app = typer.Typer(
    help="Check what the simulator has played. `finkray start simulator` plays.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@simulator_app.callback()
def _group() -> None:
    # With a single command typer would omit its name.
    return


@simulator_app.command(
    epilog=examples(
        "finkray start archive --simulator --poison 0.01 --duplicates 0.01 --manifest night",
        "finkray simulator check night --archive archive",
        "finkray simulator check night --archive archive --json | jq .findings",
    )
)
def check(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Folder that the simulator wrote.")
    ],
    archive: Annotated[str, typer.Option(metavar="FOLDER", help="The archive.")] = "archive",
    *,
    as_json: AsJson = False,
) -> None:
    """Compare what was played with an archive, message by message.

    Exit code 0 only if the simulator has finished, every alert is archived once, every broken
    message is a dead letter once and for the right reason, and nothing of aborted transactions is
    archived.
    """
    from sim.check.archive import check as compare_now

    found = compare_now(manifest, archive)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        console().print(comparison_text(found), markup=False, soft_wrap=True)
    raise typer.Exit(CommandExit.DONE if found.good else CommandExit.NO)


def comparison_text(found: "Comparison") -> str:
    """Return the result of the comparison as text."""
    sums = f"{found.archived} archived, {found.dead_lettered} dead letters, {found.aborted} aborted"
    lines = [
        f"{found.messages} messages played: {sums}",
        *(f"  {count:8} {name}" for name, count in found.trouble.items()),
    ]
    if not found.ended:
        lines.append("The play has not ended: what is still to come is not compared.")
    counts: dict[str, int] = {}
    for finding in found.findings:
        counts[finding.what] = counts.get(finding.what, 0) + 1
    lines += [f"{count} x {what}" for what, count in counts.items()]
    lines += [
        f"  {each.what}: partition {each.partition}, offset {each.offset}: {each.detail}"
        for each in found.findings[:_SHOWN]
    ]
    if len(found.findings) > _SHOWN:
        lines.append(f"  … and {len(found.findings) - _SHOWN} more; --json has all")
    lines.append("All is as it should be." if found.good else "Not all is as it should be.")
    return "\n".join(lines)
