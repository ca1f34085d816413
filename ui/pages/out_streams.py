"""The page on streaming out: what filters judge and send, and what an operator does with them."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from finkray.errors import FinkrayError
from finkray.status.streamout import StreamoutSnapshot
from ui.kit.markup import (
    alarms_html,
    banner_html,
    figures_html,
    problem_html,
    table_grid_html,
    table_html,
)
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET, Page, PageInputs
from ui.kit.reading import Reading
from ui.operators import FilterDraft, FilterOperations, operator_refusal
from ui.sources import FILTER_OPERATIONS, STREAMOUT
from ui.views.streamout import (
    filters_table,
    groups_table,
    published_table,
    streamout_banner,
    streamout_cards,
    streamout_figures,
    troubles_table,
)

if TYPE_CHECKING:
    from finkray.streamout.published import State

log = logging.getLogger(__name__)

_STATES: Final[dict[str, "State"]] = {"pause": "paused", "resume": "active", "retire": "retired"}

_PLACEHOLDER: Final = "ra,dec,radius_arcsec\n310.51,-22.81,2"


def streamout_html(reading: Reading[StreamoutSnapshot], now: datetime) -> str:
    """Return what the process that sends reports."""
    banner = banner_html(streamout_banner(reading, now))
    snapshot = reading.value
    if snapshot is None:
        return banner
    return (
        banner
        + alarms_html(streamout_cards(snapshot, now))
        + figures_html(streamout_figures(snapshot))
        + table_html(filters_table(snapshot), wide=True, tall=True)
        + table_grid_html((troubles_table(snapshot), groups_table(snapshot)))
    )


def published_html(operations: FilterOperations) -> str:
    """Return the published filters, as they are stored."""
    try:
        return table_html(published_table(operations.published()), wide=True, tall=True)
    except FinkrayError as error:
        return problem_html(f"cannot read the published filters: {error}")


def operated(
    user: str | None, operations: FilterOperations, what: str, do: Callable[[], str]
) -> str:
    """Do something with a filter for an operator; return what to show of it.

    Parameters
    ----------
    user
        who is signed in
    operations
        which names the operators
    what
        what is done, for the log
    do
        does it
    """
    if refusal := operator_refusal(user, operations.operators):
        return problem_html(refusal)
    try:
        done = do()
    except FinkrayError as error:
        log.info("%s by %s was refused: %s", what, user, error)
        return problem_html(f"refused: {error}")
    log.info("%s by %s: %s", what, user, done.partition("\n")[0])
    return "".join(problem_html(line) for line in done.splitlines())


def _user_of(opening: gr.Request) -> str | None:
    """Return the user whom `ui.sign_in` let in; None where nobody is asked to sign in."""
    request = opening.request
    name: str | None = None if request is None else request.scope.get("user_name")
    return name


def _names(operations: FilterOperations) -> list[str]:
    try:
        return [each.name for each in operations.published() if each.state != "retired"]
    except FinkrayError:  # the table of filters says so
        return []


def _build(blocks: gr.Blocks, inputs: PageInputs) -> None:
    latest = inputs.latest(STREAMOUT)

    def shown(_: Mapping[str, str]) -> tuple[str]:
        return (streamout_html(latest(), datetime.now(UTC)),)

    def streamout() -> dict[str, Any] | None:
        """The snapshot of streaming out; null when none has come."""
        newest = latest().value
        return None if newest is None else newest.model_dump(mode="json")

    gr.HTML(inputs.follow("streamout", shown)(0))
    gr.api(streamout, api_name="streamout", queue=False)
    _build_operations(blocks, inputs.function(FILTER_OPERATIONS))


def _build_operations(blocks: gr.Blocks, operations: FilterOperations) -> None:
    """Add the published filters, and for operators what changes them."""
    published, answer = gr.HTML(), gr.HTML()
    with gr.Group(visible=False) as controls:
        with gr.Row():
            name = gr.Dropdown([], label="filter to change", allow_custom_value=True)
            for_good = gr.Checkbox(label="retire it for good", value=False)
            changes = {each: gr.Button(each) for each in _STATES}
        with gr.Row():
            file_name = gr.Textbox(
                label="file name",
                placeholder="mine.csv",
                info="a filter is called as its file: .py, .toml; watch lists: .csv, .moc",
            )
            topic = gr.Textbox(label="topic", placeholder="mine")
            projection = gr.Dropdown(
                ["lite", "full", "cutouts"],
                value="lite",
                label="projection",
                allow_custom_value=True,
                info="or fields: objectId,candid",
            )
            wire = gr.Dropdown(["confluent", "fink"], value="confluent", label="wire")
        text = gr.Textbox(
            label="text of the file",
            lines=8,
            max_lines=30,
            placeholder=_PLACEHOLDER,
            info="up to 60 kB; a larger one is published with finkray filter publish",
        )
        with gr.Row():
            check, publish = gr.Button("check"), gr.Button("publish", variant="primary")
    fields = {file_name, text, topic, projection, wire}

    def shown(answer_html: str) -> tuple[str, str, Any]:
        return published_html(operations), answer_html, gr.update(choices=_names(operations))

    def load(opening: gr.Request) -> tuple[str, str, Any, Any]:
        refusal = operator_refusal(_user_of(opening), operations.operators)
        return (*shown(problem_html(refusal) if refusal else ""), gr.update(visible=not refusal))

    def change(word: str) -> Callable[[str | None, bool, gr.Request], tuple[str, str, Any]]:
        def changed(
            chosen: str | None,
            sure: bool,  # noqa: FBT001 - Gradio passes values by position
            opening: gr.Request,
        ) -> tuple[str, str, Any]:
            if word == "retire" and not sure:
                return shown(problem_html("a retired filter stays so: tick the box first"))
            do = partial(operations.set_state, chosen or "", _STATES[word])
            return shown(operated(_user_of(opening), operations, f"{word} {chosen}", do))

        return changed

    def draft_of(typed: Mapping[Any, str | None]) -> FilterDraft:
        """Return a filter as it was typed; the value of an empty box may be None."""
        return FilterDraft(
            file_name=(typed[file_name] or "").strip(),
            text=(typed[text] or "").replace("\r\n", "\n"),
            topic=(typed[topic] or "").strip(),
            projection=(typed[projection] or "").strip(),
            wire=(typed[wire] or "").strip(),
        )

    # Gradio passes a set of components as one mapping.
    def checked(typed: dict[Any, Any], opening: gr.Request) -> str:
        draft = draft_of(typed)
        do = partial(operations.check, draft)
        return operated(_user_of(opening), operations, f"check {draft.file_name}", do)

    def sent(typed: dict[Any, Any], opening: gr.Request) -> tuple[str, str, Any]:
        draft = draft_of(typed)
        do = partial(operations.publish, draft)
        return shown(operated(_user_of(opening), operations, f"publish {draft.file_name}", do))

    blocks.load(load, None, [published, answer, name, controls], **QUIET)
    slow = {**QUIET, "show_progress": "minimal"}
    for word, button in changes.items():
        button.click(change(word), [name, for_good], [published, answer, name], **QUIET)
    check.click(checked, fields, [answer], **slow)
    publish.click(sent, fields, [published, answer, name], **slow)


PAGE: Final = Page("/streamout", "Out-streams", (STREAMOUT, FILTER_OPERATIONS), _build)
