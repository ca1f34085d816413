"""The map of the sky, against astropy and the geometry of Mollweide."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from ui.lookups.records import SkyCell, SkyRecord
from ui.views.sky_svg import (
    HEIGHT,
    WIDTH,
    cone_href,
    ecliptic,
    galactic_plane,
    project,
    sky_svg,
)


def test_the_galactic_plane_and_the_ecliptic_are_astropys() -> None:
    plane = SkyCoord(*np.array(galactic_plane()).T, unit="deg")
    assert np.abs(plane.galactic.b.deg).max() < 1e-4
    path = SkyCoord(*np.array(ecliptic()).T, unit="deg")
    assert np.abs(path.barycentricmeanecliptic.lat.deg).max() < 1e-4


@pytest.mark.parametrize(
    ("ra", "dec", "x", "y"),
    [
        (0, 0, WIDTH / 2, HEIGHT / 2),
        (0, 90, WIDTH / 2, 10),
        (123, -90, WIDTH / 2, HEIGHT - 10),
        (180, 0, 10, HEIGHT / 2),
        (90, 0, WIDTH / 4 + 5, HEIGHT / 2),
        (270, 0, 3 * WIDTH / 4 - 5, HEIGHT / 2),
    ],
)
def test_north_is_up_and_east_is_left(ra: float, dec: float, x: float, y: float) -> None:
    assert project(ra, dec) == pytest.approx((x, y), abs=0.5)


def test_a_cell_is_drawn_whole_at_the_seam_and_its_circle_holds_its_corners() -> None:
    corners = ((178.6, 0.0), (180.0, 2.4), (-178.6, 0.0), (180.0, -2.4))
    cell = SkyCell(1, 7, 180.0, 0.0, corners)
    drawn = sky_svg(SkyRecord(7, (cell,)))
    (path,) = [part for part in drawn.split("<path ") if "fr-sky5" in part]
    xs = [float(point.split()[0]) for point in path.split("d='M")[1].split("Z")[0].split("L")]
    assert max(xs) - min(xs) < 20
    arcsec = float(cone_href(cell).rpartition("+")[2])
    assert 2.4 * 3600 <= arcsec <= 2.5 * 3600
