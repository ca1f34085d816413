"""The command `finkray simulator check`, which compares an archive with a play."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from finkray.host.exit_codes import CommandExit
from jobs.cli.common import (
    AsJson,
    Config,
    WholeSummaries,
    command_context,
    console,
    examples,
    print_json,
)

if TYPE_CHECKING:
    from sim.check.compare import Comparison

_MAX_FINDINGS: Final = 20

simulator_app = typer.Typer(
    help="Check what the simulator has played. `finkray start simulator` plays.",
    epilog=examples(
        "finkray start archive --simulator --manifest night",
        "finkray simulator check night",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)


@simulator_app.callback()
def _group() -> None:
    # With a single command typer would omit its name.
    return


@simulator_app.command(
    epilog=examples(
        "finkray start archive --simulator --poison 0.01 --duplicates 0.01 --manifest night",
        "finkray simulator check night",
        "finkray simulator check night --archive /data/archive --json | jq .findings",
    )
)
def check(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", show_default=False, help="Folder that the simulator wrote."
        ),
    ],
    config: Config = None,
    *,
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            show_default=False,
            help="Folder or URI of the archive; default: archive.uri.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a play of the simulator with an archive, message by message.

    The exit code is 0 only if the simulator has finished, every alert is archived once, every
    broken message is one dead letter with the right reason, and no message of an aborted
    transaction is archived.
    """
    from jobs.cluster.archive import archive_of
    from sim.check.archive import check as compare_now

    context = command_context(config, {"archive": {"uri": archive}} if archive else None)
    comparison = compare_now(manifest, archive_of(context.settings))
    if as_json:
        print_json(comparison.to_json())
    else:
        console().print(comparison_text(comparison), markup=False, soft_wrap=True)
    raise typer.Exit(CommandExit.DONE if comparison.good else CommandExit.NO)


def comparison_text(comparison: "Comparison") -> str:
    """Return the result of the comparison as text."""
    sums = (
        f"{comparison.archived} archived, {comparison.dead_lettered} dead letters, "
        f"{comparison.aborted} aborted"
    )
    lines = [
        f"{comparison.messages} messages played: {sums}",
        *(f"  {count:8} {name}" for name, count in comparison.trouble.items()),
    ]
    if not comparison.ended:
        lines.append("The play has not ended: messages that are not sent yet are not compared.")
    counts: dict[str, int] = {}
    for finding in comparison.findings:
        counts[finding.what] = counts.get(finding.what, 0) + 1
    lines += [f"{count} x {what}" for what, count in counts.items()]
    lines += [
        f"  {finding.what}: partition {finding.partition}, offset {finding.offset}: "
        f"{finding.detail}"
        for finding in comparison.findings[:_MAX_FINDINGS]
    ]
    if len(comparison.findings) > _MAX_FINDINGS:
        lines.append(f"  … and {len(comparison.findings) - _MAX_FINDINGS} more; --json has all")
    lines.append("All is as it should be." if comparison.good else "Not all is as it should be.")
    return "\n".join(lines)
