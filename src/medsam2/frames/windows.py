"""Intensity windows: which values of a scan become black and white."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import ConfigurationError, InputError
from medsam2.spatial import Plane, PlaneView, Volume

FloatImage = NDArray[np.float32]

PERCENTILES = (0.5, 99.5)
"""MedSAM-2 (arXiv 2408.00874) clips MR, X-ray, ultrasound and OCT to these percentiles."""

MINIMUM_NONZERO = 64
"""With fewer sampled voxels that are not zero, percentiles are taken of all voxels."""

SAMPLE_SIZE = 2**22
"""At most about this many voxels are looked at to choose a window, on a regular grid."""

AIR_BELOW_HU = -900.0
"""Air is near -1000 HU; voxels outside the scanner's field of view are padded with less."""

SOFT_TISSUE_HU = (-200.0, 300.0)
"""From fat to enhanced vessels."""

MINIMUM_AIR_SHARE = 0.02
"""A scan with less air than this is not taken for a CT."""

MINIMUM_SOFT_TISSUE_SHARE = 0.05
"""A scan with less soft tissue than this is not taken for a CT."""


@dataclass(frozen=True)
class IntensityWindow:
    """The range of values that is shown: lower and below is black, upper and above is white.

    Attributes:
        name: What reports call it.
        lower: Value that becomes 0.
        upper: Value that becomes 1.

    Raises:
        ConfigurationError: The bounds are not finite, or the upper is not above the lower.

    Example:
        >>> IntensityWindow("half", 0, 10).apply(np.array([-5, 5, 20])).tolist()
        [0.0, 0.5, 1.0]
    """

    name: str
    lower: float
    upper: float

    def __post_init__(self) -> None:
        width = self.upper - self.lower
        if not (width > 0 and math.isfinite(width)):
            raise ConfigurationError(
                f"the window {self.name!r} runs from {self.lower:g} to {self.upper:g}; expected two finite "
                "numbers, the lower one first."
            )

    def apply(self, array: NDArray[Any]) -> FloatImage:
        """Map values to grey.

        Args:
            array: Any shape, integers or floats.

        Returns:
            float32 in [0, 1]; NaN and infinite values are 0.
        """
        # float64, as the range of wide integers and floats may exceed that of float32.
        values = array.astype(np.float64)
        values[~np.isfinite(values)] = self.lower
        grey = (values.clip(self.lower, self.upper) - self.lower) / (self.upper - self.lower)
        return grey.astype(np.float32)

    @classmethod
    def of_width_and_level(cls, name: str, width: float, level: float) -> IntensityWindow:
        """Make the window of a width and a level (its centre), as radiologists name them."""
        return cls(name, level - width / 2, level + width / 2)


WindowSetting = str | tuple[float, float] | IntensityWindow

CT_ABDOMEN = IntensityWindow.of_width_and_level("ct-abdomen", 400, 40)
CT_LUNG = IntensityWindow.of_width_and_level("ct-lung", 1500, -600)
CT_BRAIN = IntensityWindow.of_width_and_level("ct-brain", 80, 40)
CT_MEDIASTINUM = IntensityWindow.of_width_and_level("ct-mediastinum", 350, 50)
CT_BONE = IntensityWindow.of_width_and_level("ct-bone", 1800, 400)
UINT8 = IntensityWindow("uint8", 0.0, 255.0)

PRESETS = {window.name: window for window in (CT_ABDOMEN, CT_LUNG, CT_BRAIN, CT_MEDIASTINUM, CT_BONE)}
"""Windows by name; the name without "ct-" is understood, too."""


def choose_window(volume: Volume, setting: WindowSetting = "auto") -> IntensityWindow:
    """Choose the window of a volume.

    - "auto": 0..255 for RGB, "ct-abdomen" for CT in Hounsfield units, else "percentile".
    - "ct-abdomen", "ct-lung", "ct-brain", "ct-mediastinum", "ct-bone", or the same without "ct-".
    - "percentile": 0.5 to 99.5 % of the voxels that are not zero.
    - "full": from the least to the greatest value.
    - "W,L": a width and a level, e.g. "400,40".
    - (lower, upper): the bounds; or a window, which is returned as it is.

    CT is recognised by its values alone: they are signed or floats, and a share of them is air, a share is
    soft tissue, and there is more of it than of anything denser. A CT stored with an offset (uint16) is not
    recognised, and gets percentiles. Values that are not finite are left out of every statistic. Large
    volumes are sampled on a regular grid (`SAMPLE_SIZE`), except for "full".

    Args:
        volume: The volume.
        setting: One of the above.

    Raises:
        ConfigurationError: There is no such setting.
        InputError: No value of the volume is finite.
    """
    if isinstance(setting, IntensityWindow):
        return setting
    if isinstance(setting, tuple):
        lower, upper = setting
        return IntensityWindow(f"{lower:g} to {upper:g}", lower, upper)
    name = setting.strip().lower()
    if "," in name:
        return _width_and_level(name)
    preset = PRESETS.get(name, PRESETS.get(f"ct-{name}"))
    if preset is not None:
        return preset
    choices = {"auto": _automatic, "percentile": _percentile, "full": _full}
    if name not in choices:
        raise ConfigurationError(_unknown(setting, (*choices, *PRESETS)))
    return choices[name](volume)


def looks_like_hounsfield(values: NDArray[Any]) -> bool:
    """Tell whether values are CT numbers; see `choose_window`.

    Args:
        values: (N,) finite voxels of a scan.
    """
    if values.dtype.kind == "u" or values.size == 0:
        return False
    air = np.mean(values <= AIR_BELOW_HU)
    fat, vessel = SOFT_TISSUE_HU
    soft_tissue = np.mean((values >= fat) & (values <= vessel))
    denser = np.mean(values > vessel)
    return bool(air >= MINIMUM_AIR_SHARE and soft_tissue >= MINIMUM_SOFT_TISSUE_SHARE and soft_tissue > denser)


def _automatic(volume: Volume) -> IntensityWindow:
    if volume.is_rgb:
        return UINT8
    return CT_ABDOMEN if looks_like_hounsfield(_sample(volume)) else _percentile(volume)


def _percentile(volume: Volume) -> IntensityWindow:
    values = _sample(volume)
    nonzero = values[values != 0]
    chosen = nonzero if nonzero.size >= MINIMUM_NONZERO else values
    lower, upper = np.percentile(chosen.astype(np.float64), PERCENTILES).tolist()
    if lower < upper:
        return IntensityWindow("percentile", lower, upper)
    return _around("percentile", float(values.min()), float(values.max()))


def _full(volume: Volume) -> IntensityWindow:
    # Slice by slice, so that no copy of the volume is made.
    parts = (part[np.isfinite(part)] for part in volume.array)
    ranges = [(float(values.min()), float(values.max())) for values in parts if values.size]
    if not ranges:
        raise InputError(_nothing_finite(volume))
    lowest, highest = zip(*ranges, strict=True)
    return _around("full", min(lowest), max(highest))


def _around(name: str, lower: float, upper: float) -> IntensityWindow:
    """Make the window of a range; of a single value, the window of width 1 around it."""
    if lower < upper:
        return IntensityWindow(name, lower, upper)
    # Beyond 2**52, half a unit is less than a float64 can tell.
    margin = max(0.5, float(np.spacing(abs(lower))))
    return IntensityWindow(name, lower - margin, upper + margin)


def _sample(volume: Volume) -> NDArray[Any]:
    """Give the finite voxels of a regular grid, (N,): the same places however the file stores its axes."""
    canonical = PlaneView.of(volume.geometry, Plane.AXIAL).to_frames(volume.array)
    array, stride = canonical, 1
    while array.size > SAMPLE_SIZE:
        stride += 1
        array = canonical[::stride, ::stride, ::stride]
    values: NDArray[Any] = array[np.isfinite(array)]
    if values.size == 0:
        raise InputError(_nothing_finite(volume))
    return values


def _nothing_finite(volume: Volume) -> str:
    where = f" in {volume.source.name}" if volume.source is not None else ""
    return f"no value of the volume{where} is finite (all NaN or infinite); check the file."


def _width_and_level(text: str) -> IntensityWindow:
    try:
        width, level = (float(word) for word in text.split(","))
    except ValueError:
        raise ConfigurationError(
            f'window "{text}" is not two numbers; expected width and level, e.g. "400,40".'
        ) from None
    if not width > 0:
        raise ConfigurationError(f'window "{text}" has the width {width:g}; expected more than 0, as in "400,40".')
    return IntensityWindow.of_width_and_level(f"W {width:g} L {level:g}", width, level)


def _unknown(setting: str, known: tuple[str, ...]) -> str:
    short = {name.removeprefix("ct-"): name for name in known}
    nearest = difflib.get_close_matches(setting.strip().lower(), (*known, *short), n=1)
    hint = f' Did you mean "{nearest[0]}"?' if nearest else ""
    return f'there is no window "{setting}"; known are {", ".join(known)}, and "width,level".{hint}'
