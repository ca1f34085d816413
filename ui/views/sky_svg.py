"""The sky in Mollweide's projection as SVG, drawn on the server: each cell is a link."""

import math
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

from finkray.text import count_text
from ui.kit.markup import escaped
from ui.lookups.records import SkyCell, SkyRecord

WIDTH, HEIGHT = 980, 500
_MARGIN: Final = 10
_SHADES: Final = 5
_OBLIQUITY_RAD: Final = math.radians(23.43928)
_POLE_RA_RAD, _POLE_DEC_RAD = math.radians(192.85948), math.radians(27.12825)
_NODE_L_RAD: Final = math.radians(32.93192)
"""Galactic longitude of the node where the Galactic plane crosses the equator, J2000."""


def sky_svg(record: SkyRecord) -> str:
    """Return the map: North up, East left, RA 0 in the middle; the fuller a cell, the darker."""
    most = max((cell.alerts for cell in record.cells), default=1)
    cells = "".join(_cell(cell, most) for cell in record.cells)
    lines = "".join(
        f"<path class='{name}' d='{_line(points)}'/>"
        for name, points in (
            *(("fr-line", _parallel(dec)) for dec in range(-60, 61, 30)),
            *(("fr-line", _meridian(ra)) for ra in range(-180, 181, 30)),
        )
    )
    curves = (
        f"<path class='fr-galaxy' d='{_line(galactic_plane())}'/>"
        f"<path class='fr-ecliptic' d='{_line(ecliptic())}'/>"
    )
    hours = "".join(
        f"<text x='{project(ra, 0)[0]:.0f}' y='{project(ra, 0)[1] - 3:.0f}' "
        f"text-anchor='middle'>{ra // 15 % 24} h</text>"
        for ra in range(-150, 151, 30)
    )
    return (
        f"<svg class='fr-curve fr-sky' viewBox='0 0 {WIDTH} {HEIGHT}' role='group' "
        f"aria-label='map of the sky: {len(record.cells)} cells with alerts'>"
        f"{lines}{cells}{curves}<g class='fr-hours'>{hours}</g></svg>"
        "<div class='fr-legend'><span>North up, East left</span>"
        "<span class='fr-galaxytext'>— Galactic plane</span>"
        "<span class='fr-ecliptictext'>- - ecliptic</span></div>"
    )


def cone_href(cell: SkyCell) -> str:
    """Return the address of the search in the circle around a cell."""
    arcsec = math.ceil(3600 * max(_separation_deg(cell, corner) for corner in cell.corners))
    return f"object?{urlencode({'q': f'{cell.ra_deg:.4f} {cell.dec_deg:+.4f} {arcsec}'})}"


def project(ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Return x and y of a position; RA from -180 to 180 degrees, or it is brought there."""
    ra = ra_deg if -180 <= ra_deg <= 180 else (ra_deg + 180) % 360 - 180
    dec = math.radians(dec_deg)
    theta = dec
    if abs(abs(dec_deg) - 90) < 1e-9:
        theta = math.copysign(math.pi / 2, dec)
    else:
        for _ in range(12):
            wanted = 2 * theta + math.sin(2 * theta) - math.pi * math.sin(dec)
            theta -= wanted / max(2 + 2 * math.cos(2 * theta), 1e-9)
    x = -ra / 180 * math.cos(theta) * (WIDTH / 2 - _MARGIN)
    y = -math.sin(theta) * (HEIGHT / 2 - _MARGIN)
    return WIDTH / 2 + x, HEIGHT / 2 + y


def galactic_plane() -> list[tuple[float, float]]:
    """Return positions along the Galactic plane, in degrees."""
    points = []
    for degrees in range(0, 361, 3):
        turn = math.radians(degrees) - _NODE_L_RAD
        dec = math.asin(math.cos(_POLE_DEC_RAD) * math.sin(turn))
        ra = _POLE_RA_RAD + math.atan2(math.cos(turn), -math.sin(_POLE_DEC_RAD) * math.sin(turn))
        points.append((math.degrees(ra) % 360, math.degrees(dec)))
    return points


def ecliptic() -> list[tuple[float, float]]:
    """Return positions along the ecliptic, in degrees."""
    points = []
    for degrees in range(0, 361, 3):
        lon = math.radians(degrees)
        ra = math.atan2(math.cos(_OBLIQUITY_RAD) * math.sin(lon), math.cos(lon))
        dec = math.asin(math.sin(_OBLIQUITY_RAD) * math.sin(lon))
        points.append((math.degrees(ra) % 360, math.degrees(dec)))
    return points


def _cell(cell: SkyCell, most: int) -> str:
    centre = (cell.ra_deg + 180) % 360 - 180
    corners = []
    for ra, dec in cell.corners:
        near = centre + (ra - centre + 180) % 360 - 180
        if abs(dec) > 89.999:  # every RA is that of a pole
            near = centre
        corners.append(project(max(-180.0, min(180.0, near)), dec))
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "Z"
    shade = max(1, math.ceil(math.log1p(cell.alerts) / math.log1p(most) * _SHADES))
    title = f"{count_text(cell.alerts)} alerts around RA {cell.ra_deg:.1f}, Dec {cell.dec_deg:+.1f}"
    return (
        f"<a href='{escaped(cone_href(cell))}' aria-label='{escaped(title)}'>"
        f"<path class='fr-sky{shade}' d='{path}'><title>{escaped(title)}</title></path></a>"
    )


def _line(points: Iterable[tuple[float, float]]) -> str:
    """Return a path through positions, interrupted where it leaves the map at one side."""
    parts = []
    before = math.inf
    for ra, dec in points:
        x, y = project(ra, dec)
        parts.append(f"{'L' if abs(x - before) < WIDTH / 4 else 'M'}{x:.1f} {y:.1f}")
        before = x
    return "".join(parts)


def _parallel(dec: float) -> list[tuple[float, float]]:
    return [(float(ra), dec) for ra in range(-180, 181, 10)]


def _meridian(ra: float) -> list[tuple[float, float]]:
    return [(ra, float(dec)) for dec in range(-90, 91, 6)]


def _separation_deg(cell: SkyCell, corner: tuple[float, float]) -> float:
    ra, dec = math.radians(cell.ra_deg), math.radians(cell.dec_deg)
    other_ra, other_dec = (math.radians(each) for each in corner)
    half = math.sin((dec - other_dec) / 2) ** 2
    half += math.cos(dec) * math.cos(other_dec) * math.sin((ra - other_ra) / 2) ** 2
    return math.degrees(2 * math.asin(math.sqrt(min(1.0, half))))
