"""The HTTP API `/api/v1/`: what the pages show, for programs. All of it only reads."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.convertors import Convertor, register_url_convertor

from finkray.json_values import json_value
from finkray.outliers.context import CONTEXTS
from finkray.surveys import SURVEYS
from ui.formats import FORMATS
from ui.kit.reader import Reader
from ui.lookups.avro_file import alert_avro
from ui.lookups.downloads import as_file
from ui.lookups.objects import alert_record, cone, cutout_png, light_curve, object_record
from ui.lookups.process import LookupRefused, Lookups
from ui.lookups.records import DEFAULT_SKY_SCOPE, SkyScope, object_json
from ui.lookups.sky import HEALPIX_ORDER, sky_record
from ui.lookups.sql import MOST_CHARACTERS, sql_file
from ui.lookups.tonight import NIGHT, Order, TonightChoice, tonight_table
from ui.sources import CLASS_COUNTS, LOOKUPS, SERVICES, SQL, STATUS, Polled, Sources
from ui.views.curve_svg import small_curve_svg
from ui.views.query import DEFAULT_RADIUS_ARCSEC, MOST_RADIUS_ARCSEC

Format = Literal["json", "csv", "parquet", "votable"]

PREFIX: Final = "/api/v1"

_FOR_AN_HOUR: Final = {"Cache-Control": "max-age=3600"}

_Topic = Annotated[str, Query(max_length=249)]
_Partition = Annotated[int, Query(ge=0, lt=2**31)]
_Offset = Annotated[int, Query(ge=0, lt=2**63)]
_Night = Annotated[str, Query(pattern=f"^({NIGHT.pattern})?$")]
_Survey = Annotated[str, Query(pattern=f"^({'|'.join(SURVEYS)})?$")]
_Context = Annotated[str, Query(pattern=f"^({'|'.join(CONTEXTS)})?$")]
_ImageName = Literal["science", "template", "difference"]


class _AnyText(Convertor[str]):
    """A part of a path that may have slashes and line breaks: an id is whatever the stream sent."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any_text", _AnyText())


def api_router(readers: Mapping[Polled[Any], Reader[Any]], sources: Sources) -> APIRouter:
    """Return the routes of those things that the process provides."""
    router = APIRouter(prefix=PREFIX)
    _add_states(router, readers)
    if not sources.missing((LOOKUPS,)):
        _add_lookups(router, sources.function_of(LOOKUPS))
    if not sources.missing((SQL,)):
        _add_sql(router, sources.function_of(SQL))
    return router


async def lookup_refused(_: Request, error: Exception) -> JSONResponse:
    """Answer a request whose look-up was refused."""
    status = error.status if isinstance(error, LookupRefused) else 500
    return JSONResponse({"detail": str(error)}, status)


def _add_states(router: APIRouter, readers: Mapping[Polled[Any], Reader[Any]]) -> None:
    def latest(key: Polled[Any]) -> Any:
        if key not in readers:
            raise HTTPException(404, f"this server does not read {key.name}")
        return readers[key].latest().value

    encoded: list[tuple[Any, bytes]] = [(None, b"null")]
    """The newest snapshot and its JSON, which is made once for all who ask."""

    @router.get("/snapshot")
    async def snapshot() -> Response:
        """Return the archive's newest snapshot, as `finkray status --json` has it, or null."""
        found = latest(STATUS)
        if found is not encoded[0][0]:
            encoded[0] = (found, b"null" if found is None else found.model_dump_json().encode())
        return Response(encoded[0][1], media_type="application/json")

    @router.get("/services")
    def services() -> Any:
        """Return the snapshots of the services that run."""
        return [each.model_dump(mode="json") for each in latest(SERVICES) or ()]

    @router.get("/classes")
    def classes() -> Any:
        """Return the counts by class and night of all results that have classes."""
        found = latest(CLASS_COUNTS) or ()
        return [each.model_dump(mode="json", exclude={"cursor"}) for each in found]


def _add_lookups(router: APIRouter, lookups: Lookups) -> None:
    # An id may have slashes, so the shortest of these paths comes last.
    @router.get("/objects/{object_id:any_text}/lightcurve")
    def curve(object_id: str, format: Format = "json") -> Response:  # noqa: A002
        """Return the light curve of an object: the columns of docs/lightcurves.md."""
        return _file(lookups.ask(as_file, format, light_curve, object_id), format, "lightcurve")

    @router.get("/objects/{object_id:any_text}/lightcurve.svg")
    def small_curve(object_id: str) -> Response:
        """Return the detections of an object as a small picture."""
        points = lookups.ask(light_curve, object_id)
        drawn = small_curve_svg(points.to_pylist())
        return Response(drawn, media_type="image/svg+xml", headers=_FOR_AN_HOUR)

    @router.get("/objects/{object_id:any_text}")
    def one_object(object_id: str) -> Any:
        """Return an object: its alerts, what services found for the newest, and all classes.

        Each alert has the times of its stages: exposure, arrival in Kafka, durable in the archive,
        and durable for each of the results; what is not known is null.
        """
        return object_json(lookups.ask(object_record, object_id))

    @router.get("/cone")
    def objects_in_cone(
        ra: Annotated[float, Query(ge=0, lt=360)],
        dec: Annotated[float, Query(ge=-90, le=90)],
        radius_arcsec: Annotated[float, Query(gt=0, le=MOST_RADIUS_ARCSEC)] = DEFAULT_RADIUS_ARCSEC,
        format: Format = "json",  # noqa: A002
    ) -> Response:
        """Return the objects with an alert in a circle, the nearest first."""
        return _file(lookups.ask(as_file, format, cone, ra, dec, radius_arcsec), format, "cone")

    @router.get("/tonight")
    def list_of_tonight(
        *,
        order: Order = "outliers",
        top: Annotated[int, Query(ge=1, le=200)] = 20,
        night: _Night = "",
        class_name: Annotated[str, Query(alias="class", max_length=200)] = "",
        survey: _Survey = "",
        context: _Context = "",
        format: Format = "json",  # noqa: A002
    ) -> Response:
        """Return objects that are worth a look: the list of the page Tonight.

        `night` and `context` are for order=outliers; without `night` it is the newest night with
        scores. `context` is what is at the position: `asteroid`, `star`, `galaxy`, `unknown`,
        `nothing`, or `transient-like`, which is the last three together. `p_night` and `p_context`
        are the share of the night's alerts, in all and in the same context, that score at least as
        high.
        """
        choice = TonightChoice(order, class_name, night, survey, context)
        return _file(lookups.ask(as_file, format, tonight_table, choice, top), format, "tonight")

    @router.get("/sky")
    def sky(
        alerts: SkyScope = DEFAULT_SKY_SCOPE,
        class_name: Annotated[str, Query(alias="class", max_length=200)] = "",
    ) -> Any:
        """Return the alerts by HEALPix cell of order 4 (nested), the fullest cells first."""
        found = lookups.ask(sky_record, alerts, class_name)
        names = ("pixel", "alerts", "ra_deg", "dec_deg")
        cells = [{name: getattr(cell, name) for name in names} for cell in found.cells]
        return {"alerts": found.alerts, "healpix_order": HEALPIX_ORDER, "cells": cells}

    @router.get("/alert")
    def alert(
        topic: _Topic, partition: _Partition, offset: _Offset, at: datetime | None = None
    ) -> Any:
        """Return the packet of an alert without its images, by its offset in Kafka."""
        return json_value(lookups.ask(alert_record, topic, partition, offset, at).packet)

    @router.get("/alert.avro")
    def avro(
        topic: _Topic, partition: _Partition, offset: _Offset, at: datetime | None = None
    ) -> Response:
        """Return the packet of an alert as an Avro container with its schema, images included."""
        data = lookups.ask(alert_avro, topic, partition, offset, at)
        name = f'attachment; filename="{partition}-{offset}.avro"'
        return Response(data, media_type="avro/binary", headers={"Content-Disposition": name})

    @router.get("/cutout.png")
    def cutout(
        topic: _Topic,
        partition: _Partition,
        offset: _Offset,
        name: _ImageName,
        at: datetime | None = None,
    ) -> Response:
        """Return an image of an alert as PNG."""
        png = lookups.ask(cutout_png, name, (topic, partition, offset, at))
        return Response(png, media_type="image/png", headers={"Cache-Control": "max-age=86400"})


def _add_sql(router: APIRouter, sql: Lookups) -> None:
    @router.get("/query")
    def query(
        text: Annotated[str, Query(alias="sql", min_length=1, max_length=MOST_CHARACTERS)],
        format: Format = "json",  # noqa: A002
    ) -> Response:
        """Return the answer to a SELECT over `alerts` and the results of services by their names.

        An answer has at most 10 000 rows and 64 MiB; the header `Finkray-Cut` says whether there
        are more. A query may take 10 s.
        """
        found = sql.ask(sql_file, text, format)
        answer = _file(found.data, format, "query")
        answer.headers["Finkray-Cut"] = "true" if found.cut else "false"
        return answer


def _file(data: bytes, name: Format, stem: str) -> Response:
    _, media_type = FORMATS[name]
    headers = {}
    if name != "json":
        suffix = "xml" if name == "votable" else name
        headers["Content-Disposition"] = f'attachment; filename="{stem}.{suffix}"'
    return Response(data, media_type=media_type, headers=headers)
