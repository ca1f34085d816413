"""Give examples of the HTTP API: a line of curl and lines of Python for each route. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from ui.kit.markup import code_html, escaped

_PREFIX: Final = "api/v1"


@dataclass(frozen=True, slots=True)
class Example:
    """A route: its path below the prefix, what it gives, and the address of an example."""

    route: str
    about: str
    url: str
    is_table: bool = False

    @property
    def curl(self) -> str:
        """Return the line for a shell."""
        suffix = f" -o {self.file_name}" if self.file_name else ""
        return f"curl -sf {shlex.quote(self.url)}{suffix}"

    @property
    def file_name(self) -> str:
        """Return the name of the file that the answer is; "" for JSON and tables."""
        name = self.route.rpartition("/")[2]
        return name if "." in name else ""

    @property
    def python(self) -> str:
        """Return the lines of Python."""
        if self.is_table:
            joined = f"{self.url}{'&' if '?' in self.url else '?'}format=csv"
            return f"import pandas\n\ntable = pandas.read_csv({joined!r})"
        read = "answer.read()" if self.file_name else "json.load(answer)"
        return (
            "import json\nimport urllib.request\n\n"
            f"with urllib.request.urlopen({self.url!r}) as answer:\n    found = {read}"
        )


def examples(base_url: str, alert: Mapping[str, Any] | None) -> tuple[Example, ...]:
    """Return an example of each route.

    Parameters
    ----------
    base_url
        Address of the first page.
    alert
        A row of the list of tonight whose object and offset the examples name; None: a made one.
    """
    known = alert or {
        "object_id": "ZTF20abfcszi",
        "ra_deg": 277.876,
        "dec_deg": 7.527,
        "kafka_topic": "ztf",
        "kafka_partition": 0,
        "kafka_offset": 0,
    }
    begin = f"{base_url}{_PREFIX}"
    one = f"{begin}/objects/{quote(str(known['object_id']), safe='')}"
    offset = urlencode({name: known[f"kafka_{name}"] for name in ("topic", "partition", "offset")})
    circle = urlencode(
        {
            "ra": f"{float(known['ra_deg']) % 360:.5f}",
            "dec": f"{known['dec_deg']:.5f}",
            "radius_arcsec": 5,
        }
    )
    sql = urlencode({"sql": "SELECT 42 AS answer"}, quote_via=quote)
    return (
        Example("snapshot", "the archive as finkray status --json has it", f"{begin}/snapshot"),
        Example("services", "the services that run", f"{begin}/services"),
        Example("classes", "counts by class and night", f"{begin}/classes"),
        Example(
            "tonight",
            "the page Tonight as a list; order=outliers takes night, survey and context",
            f"{begin}/tonight?order=bright&top=5",
            is_table=True,
        ),
        Example("sky", "alerts by HEALPix cell", f"{begin}/sky?alerts=tonight"),
        Example("objects/{object_id}", "an object: alerts, results, classes over time", one),
        Example(
            "objects/{object_id}/lightcurve", "its light curve", f"{one}/lightcurve", is_table=True
        ),
        Example(
            "objects/{object_id}/lightcurve.svg",
            "its detections as a small picture",
            f"{one}/lightcurve.svg",
        ),
        Example("cone", "objects in a circle", f"{begin}/cone?{circle}", is_table=True),
        Example("alert", "the packet of an alert without images", f"{begin}/alert?{offset}"),
        Example(
            "alert.avro",
            "the packet as an Avro container, with images and schema",
            f"{begin}/alert.avro?{offset}",
        ),
        Example("cutout.png", "an image of an alert", f"{begin}/cutout.png?{offset}&name=science"),
        Example("query", "the answer to a SELECT", f"{begin}/query?{sql}", is_table=True),
    )


def examples_html(base_url: str, alert: Mapping[str, Any] | None) -> str:
    """Return the whole page."""
    routes = "".join(
        f"<section class='fr-table fr-wide'><h2>GET /{_PREFIX}/{escaped(each.route)}</h2>"
        f"<p>{escaped(each.about)}"
        f"{'; format=json, csv, parquet or votable' if each.is_table else ''}</p>"
        f"{code_html(each.curl)}{code_html(each.python)}</section>"
        for each in examples(base_url, alert)
    )
    client = (
        "from gradio_client import Client\n\n"
        f'found = Client({base_url!r}).predict(api_name="/snapshot")'
    )
    return (
        "<section class='fr-table fr-wide'><h2>for programs</h2>"
        f"<p class='fr-links'><a href='{_PREFIX}/openapi.json'>openapi.json</a></p>"
        "<p>these only read; with a sign-in give curl -u USER. Look-ups wait for each other, "
        "and 503 means: try again in some seconds</p></section>"
        f"{routes}"
        "<section class='fr-table fr-wide'><h2>gradio_client</h2>"
        f"<p>snapshot, services and classes as well</p>{code_html(client)}</section>"
    )
