"""The one route that changes something: a signed-in user judges an alert with a score."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request

from finkray.errors import FinkrayError
from finkray.outliers.thumb_log import ThumbLog
from ui.lookups.process import Lookups
from ui.lookups.tonight import judged

PATH: Final = "/api/v1/thumbs"


def thumbs_router(lookups: Lookups, log: ThumbLog) -> APIRouter:
    """Return the route that appends to a log of thumbs.

    Parameters
    ----------
    lookups
        Where the alert is looked for, with what was shown of it.
    log
        The log.
    """
    router = APIRouter(include_in_schema=False)  # a page of ours posts there, no program

    @router.post(PATH)
    def thumb(
        request: Request,
        alert: Annotated[str, Query(pattern=r"^\d{1,20}$")],
        action: Literal["up", "down"],
    ) -> dict[str, Any]:
        user = request.scope.get("user_name")
        if not user:
            raise HTTPException(
                403, "thumbs need a sign-in: set ui.password_file or ui.user_header"
            )
        facts = lookups.ask(judged, alert)
        try:
            entry = log.append(action, user, note="", **facts)
        except FinkrayError as error:
            raise HTTPException(503, str(error)) from error
        return {"number": entry.number, "text": f"{action}, saved"}

    return router
