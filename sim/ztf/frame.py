"""The columns of ZTF records that all detections of one exposure share."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sim.avro_rows import Column
from sim.sky.geometry import Floats, Ints
from sim.ztf.camera import CHANNELS, channel_name
from sim.ztf.schedule import EXPOSURE_S, Conditions, Exposure, conditions

NOT_MEASURED = -99_999.0
"""Value of a quantity of forced photometry that could not be measured."""


@dataclass(frozen=True)
class Frame:
    """An exposure and its conditions; arrays have one entry for each of the 64 channels."""

    exposure: Exposure
    conditions: Conditions

    @classmethod
    def of(cls, seed: int, exposure: Exposure) -> "Frame":
        """Return the frame of an exposure, with conditions drawn from the seed."""
        return cls(exposure, conditions(seed, exposure))

    @cached_property
    def image_number(self) -> Ints:
        """`pid`: night, five digits of the day, two of the channel, and 15."""
        night, fraction = self.exposure.night_and_fraction
        return (night * 100_000 + int(fraction * 100_000)) * 10_000 + np.arange(CHANNELS) * 100 + 15

    @cached_property
    def reference_number(self) -> Ints:
        """`rfid`: field, 12, filter and channel."""
        exposure = self.exposure
        first = exposure.field.number * 1_000_000 + 120_000 + exposure.filter_id * 100
        return first + np.arange(CHANNELS)

    @cached_property
    def file_name(self) -> npt.NDArray[np.bytes_]:
        """Name of the difference image in the candidate."""
        exposure = self.exposure
        start = f"ztf_{self._day:%Y%m%d}{self._six_digits}_{exposure.field.number:06d}_"
        band = {1: "zg", 2: "zr"}[exposure.filter_id]
        names = (f"{start}{band}_{channel_name(c)}_scimrefdiffimg.fits" for c in range(CHANNELS))
        return np.array([name.encode() for name in names])

    @cached_property
    def archived_file_name(self) -> npt.NDArray[np.bytes_]:
        """Name of the difference image with its path, in history entries."""
        path = f"/ztf/archive/sci/{self._day:%Y/%m%d}/{self._six_digits}/".encode()
        return np.char.add(np.char.add(path, self.file_name), b".fz")

    def dn(self, flux: Floats, channel: Ints) -> Floats:
        """Convert fluxes, in units of the flux of 25 mag, to data numbers."""
        return flux * 10 ** (0.4 * (self.conditions.zero_point_mag[channel] - 25))

    def columns(self, channel: Ints, *, archived: bool) -> dict[str, Column]:
        """Return the columns that candidates and history entries (`archived`) share."""
        observed = self.conditions
        names = self.archived_file_name if archived else self.file_name
        return {
            "jd": self.exposure.jd,
            "fid": self.exposure.filter_id,
            "pid": self.image_number[channel],
            "diffmaglim": observed.limit_mag[channel],
            "pdiffimfilename": names[channel],
            "programpi": "Kulkarni",
            "programid": 1,
            "nid": self.exposure.night,
            "rcid": channel,
            "field": self.exposure.field.number,
            "magzpsci": observed.zero_point_mag[channel],
            "magzpsciunc": observed.zero_point_error_mag[channel],
            "magzpscirms": observed.zero_point_rms_mag[channel],
            "clrcoeff": observed.colour_term[channel],
            "clrcounc": observed.colour_term_error[channel],
            "rbversion": "t17_f5_c3",
        }

    def candidate_columns(self, channel: Ints) -> dict[str, Column]:
        """Return the columns that only the candidate has."""
        observed = self.conditions
        in_g = self.exposure.filter_id == 1
        return {
            "tooflag": 0,
            "rfid": self.reference_number[channel],
            "jdstartref": 2_458_166.9 + channel / 64,
            "jdendref": 2_458_278.7 + channel / 64,
            "nframesref": 15 + channel % 3,
            "nmatches": observed.calibrators[channel],
            "zpclrcov": -0.5 * observed.colour_term_error[channel],
            "zpmed": observed.zero_point_mag[channel] + (0.0 if in_g else 0.08),
            "clrmed": 0.6 + 0.1 * observed.colour_term[channel],
            "clrrms": 6 * observed.zero_point_rms_mag[channel],
            "exptime": EXPOSURE_S,
            "drbversion": "d6_m7",
        }

    def forced_columns(self, channel: Ints) -> dict[str, Column]:
        """Return the columns of forced photometry that depend on the exposure alone."""
        observed = self.conditions
        shared = self.columns(channel, archived=True)
        same = "jd fid pid diffmaglim programid rcid field magzpsci magzpsciunc magzpscirms"
        return {
            **{name: shared[name] for name in f"{same} clrcoeff clrcounc".split()},
            "rfid": self.reference_number[channel],
            "sciinpseeing": observed.seeing_pixels[channel],
            "scibckgnd": observed.background_dn[channel],
            "scisigpix": observed.pixel_noise_dn[channel],
            "exptime": EXPOSURE_S,
            "adpctdif1": 0.06 + observed.zero_point_rms_mag[channel] / 5,
            "adpctdif2": 0.065 + observed.zero_point_rms_mag[channel] / 5,
        }

    @property
    def _day(self) -> datetime:
        return datetime(2017, 1, 1, tzinfo=UTC) + timedelta(days=self.exposure.night)

    @property
    def _six_digits(self) -> str:
        return f"{int(self.exposure.night_and_fraction[1] * 1_000_000):06d}"
