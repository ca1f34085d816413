"""What the dashboard of a Ray cluster answers over HTTP; asking needs no Ray and creates no job."""

import json
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from jobs.cluster.job import JobReport

ANSWER_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class RayDashboard:
    """The dashboard of a cluster.

    Attributes
    ----------
    url
        Its address.
    token_file
        File with the token that it asks for.
    """

    url: str
    token_file: Path

    def has_node(self) -> bool:
        """Return whether it answers and knows a node that is alive, which comes up after it."""
        try:
            nodes = self._get("/nodes?view=summary")["data"]["summary"]
        except OSError:
            return False  # it is not up yet
        return any(node.get("raylet", {}).get("state") == "ALIVE" for node in nodes)

    def job_reports(self) -> dict[str, JobReport] | None:
        """Return how each job of the cluster is, by id; None if it does not answer."""
        try:
            found = self._get("/api/jobs/")
        except (OSError, ValueError, HTTPException):
            return None
        return {
            details["submission_id"]: JobReport.of(details)
            for details in found
            if details.get("submission_id")
        }

    def _get(self, path: str) -> Any:
        """Return what it answers; an OSError if it does not."""
        token = self.token_file.read_text(encoding="utf-8")
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)
