"""Read the light curves and objects of an archive."""

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from finkray.storage.contract import Storage
from finkray.storage.hours import Moment

if TYPE_CHECKING:
    from finkray.curves.lookup import AlertFiles


class CurveReader:
    """The light curves and objects of an archive; `finkray.Archive` is one."""

    _storage: Storage

    @cached_property
    def _alert_files(self) -> "AlertFiles":
        """Its files of alerts, with the object index that look-ups share."""
        from finkray.curves.lookup import AlertFiles

        return AlertFiles(self._storage)

    def lightcurve(
        self,
        object_id: str | int,
        *,
        bands: str | Collection[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        kinds: str | Collection[str] | None = None,
    ) -> pa.Table:
        """Return the light curve of an object, each measurement once, in order of time.

        Its points come from the object's alerts and the histories in them; the columns are
        explained at `finkray.curves.schema.POINT`. With an object index (docs/index.md) only files
        with alerts of the object are opened, otherwise all files of the archive are looked through.

        Parameters
        ----------
        object_id
            ZTF's objectId, or LSST's diaObjectId or ssObjectId
        bands
            one of u, g, r, i, z, y or several; None is all
        start, end
            UTC times of the exposure, from `start` up to, not including, `end`: as in `dataset`
        kinds
            `detection`, `limit`, `forced`, or several; None is all

        Raises
        ------
        UnknownObject
            if the archive has no alert of the object
        ValueError
            if a band, a kind or a time is malformed
        StorageError
            if a file cannot be read
        """
        from finkray.curves.reading import Choice, read_curve

        return read_curve(self._alert_files, object_id, Choice.of(bands, start, end, kinds))

    def lightcurves(
        self,
        object_ids: Collection[str | int],
        *,
        bands: str | Collection[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        kinds: str | Collection[str] | None = None,
    ) -> pa.Table:
        """Return the light curves of several objects in one table, as `lightcurve` returns one.

        Many at once cost less than one after another. Objects of which there is no alert have no
        row. Parameters and errors are those of `lightcurve`, but that no object is unknown.
        """
        from finkray.curves.reading import Choice, read_curves

        return read_curves(self._alert_files, object_ids, Choice.of(bands, start, end, kinds))

    def cone(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> pa.Table:
        """Return the objects with an alert in a circle, the nearest first.

        The columns are explained at `finkray.curves.reading.OBJECT`. With an object index
        (docs/index.md) and the extra `catalogs` only files with alerts in the circle are opened,
        otherwise all files of the archive are looked through.

        Parameters
        ----------
        ra_deg, dec_deg
            the centre, ICRS
        radius_arcsec
            at most 36 000

        Raises
        ------
        ValueError
            if the circle is none
        StorageError
            if a file cannot be read
        """
        from finkray.curves.reading import objects_in_cone

        return objects_in_cone(self._alert_files, ra_deg, dec_deg, radius_arcsec)

    def objects(
        self,
        *,
        cone: tuple[float, float, float] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        bands: str | Collection[str] | None = None,
        min_alerts: int = 1,
        max_alerts: int | None = None,
    ) -> pa.Table:
        """Return the objects of the archive by place, time and number of alerts, a row for each.

        The columns are explained at `finkray.curves.objects.OBJECTS`. Each alert counts once, with
        its own detection; what is only in histories does not count. Narrow columns of the selected
        files are read: of all files, or with `cone` of those that the object index names
        (docs/index.md). They come from the HATS nights that are built. It takes some 100 bytes of
        memory for each alert that is selected.

        Parameters
        ----------
        cone
            right ascension and declination of the centre in degrees (ICRS), and radius in arcsec,
            at most 36 000; None is the whole sky
        start, end
            UTC times of the exposure, from `start` up to, not including, `end`: as in `dataset`
        bands
            one of u, g, r, i, z, y or several; None is all
        min_alerts, max_alerts
            how many alerts of an object meet the above

        Raises
        ------
        ValueError
            if the circle is none, a band is unknown, or a time is malformed
        StorageError
            if a file cannot be read
        """
        from finkray.curves.objects import ObjectChoice, read_objects

        choice = ObjectChoice.of(
            cone=cone,
            start=start,
            end=end,
            bands=bands,
            min_alerts=min_alerts,
            max_alerts=max_alerts,
        )
        return read_objects(self._alert_files, choice)
