"""Where the slices of a DICOM stack lie: their order, the regularity of their spacing, and their grid.

The index (i, j, k) counts columns, rows and slices, and slices are sorted along the cross product of the row and
column cosines (PS3.3 C.7.6.2.1.1). The step from slice to slice is the one that the positions make, not the normal: of
a scan with a tilted gantry the grid is sheared, and nothing is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.spatial import create_affine_matrix_from_attributes, get_normal_vector

from medsam2.errors import FormatError
from medsam2.io.dicom_frames import DicomFrame
from medsam2.spatial import FloatArray, Geometry, Plane

SAME_PLACE_MM = 1e-3
"""Slices nearer than this lie at the same place."""

EXACT_SHARE, TOLERATED_SHARE = 0.02, 0.2
"""How far a slice may be off an even spacing, as a share of it: without a word, and with a note. Positions that were
rounded to a tenth of a millimetre are off by a sixth in thin slices; one missing slice puts some off by a third."""

SHOWN_GAPS = 3


def is_placed(frames: Sequence[DicomFrame]) -> bool:
    """Tell whether the headers say where the slices lie."""
    return all(frame.position is not None for frame in frames)


def places(frames: Sequence[DicomFrame]) -> FloatArray:
    """Give how far along the normal of the first slice each one lies, (n,) mm."""
    return np.asarray(_positions(frames) @ get_normal_vector(_orientation(frames[0])), dtype=np.float64)


def nearest_plane(frame: DicomFrame) -> str:
    """Name the plane that a slice is nearest to; "" without an orientation."""
    if frame.orientation is None:
        return ""
    planes = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)
    return planes[int(np.abs(get_normal_vector(_orientation(frame))).argmax())]


def in_order(frames: Sequence[DicomFrame]) -> tuple[DicomFrame, ...]:
    """Sort slices along their normal; those without a position, as they are numbered."""
    if not is_placed(frames):
        return tuple(sorted(frames, key=_numbers))
    along = places(frames)
    order = sorted(range(len(frames)), key=lambda index: (along[index], _numbers(frames[index])))
    return tuple(frames[index] for index in order)


def fault(frames: Sequence[DicomFrame]) -> str:
    """Say why slices, in order, make no regular grid; "" if they do."""
    if not is_placed(frames) or len(frames) < 2:
        return ""
    steps = np.diff(places(frames))
    if steps.min() < SAME_PLACE_MM:
        first = int(steps.argmin())
        return f"{frames[first].name} and {frames[first + 1].name} lie at the same place"
    typical = float(np.median(steps))
    if _largest_offset(frames) <= TOLERATED_SHARE * typical:
        return ""
    gaps = [index for index, step in enumerate(steps) if abs(step - typical) > TOLERATED_SHARE * typical]
    if not gaps:
        return f"the slices leave a straight line by up to {_largest_offset(frames):.2f} mm"
    told = [_gap(frames, index) for index in gaps[:SHOWN_GAPS]]
    more = f", and {len(gaps) - SHOWN_GAPS} more" if len(gaps) > SHOWN_GAPS else ""
    return f"the slices are not evenly spaced: most lie {typical:.2f} mm apart, but {', '.join(told)}{more}"


def grid(frames: Sequence[DicomFrame]) -> tuple[Geometry, list[str]]:
    """Make the grid of slices in order.

    Returns:
        The grid, and what had to be assumed.

    Raises:
        FormatError: The slices make no regular grid.
        GeometryError: The header's directions or spacings are none.
    """
    problem = fault(frames)
    if problem:
        raise FormatError(
            f"{problem}. Expected each slice once, at even distances; complete the series, or give a part of it "
            "that is even."
        )
    notes: list[str] = []
    first = frames[0]
    spacing = _pixel_spacing(first, notes)
    step_mm = first.slice_spacing
    if is_placed(frames):
        affine = create_affine_matrix_from_attributes(_positions(frames)[0], _orientation(first), spacing)
        affine[:3, 2] = _step(frames, notes)
    else:
        depth = step_mm if step_mm is not None and len(frames) > 1 else 1.0
        affine = np.diag([spacing[1], spacing[0], depth, 1.0])
        notes += _unplaced(frames)
    return Geometry((len(frames), first.layout.rows, first.layout.columns), affine), notes


def _pixel_spacing(frame: DicomFrame, notes: list[str]) -> tuple[float, float]:
    if frame.pixel_spacing is None:
        notes.append("The images say no pixel spacing; 1 mm was assumed, so sizes and volumes are not real.")
        return 1.0, 1.0
    if frame.at_detector:
        notes.append("The pixel spacing is that at the detector; in the patient it is smaller.")
    return frame.pixel_spacing


def _step(frames: Sequence[DicomFrame], notes: list[str]) -> FloatArray:
    """Give the vector from slice to slice, mm."""
    if len(frames) > 1:
        offset = _largest_offset(frames)
        positions = _positions(frames)
        step: FloatArray = (positions[-1] - positions[0]) / (len(frames) - 1)
        if offset > EXACT_SHARE * np.linalg.norm(step):
            notes.append(
                f"The slices are not quite evenly spaced: even spacing was assumed, off by up to {offset:.2f} mm."
            )
        return step
    thickness = frames[0].slice_spacing
    if thickness is None:
        notes.append("The image says no slice thickness; 1 mm was assumed.")
    normal: FloatArray = get_normal_vector(_orientation(frames[0]))
    return normal * (1.0 if thickness is None else thickness)


def _unplaced(frames: Sequence[DicomFrame]) -> list[str]:
    if len(frames) == 1:
        return []
    depth = "1 mm" if frames[0].slice_spacing is None else f"{frames[0].slice_spacing:g} mm"
    return [
        f"The frames have no position in the patient; they were stacked as they are numbered, {depth} apart. "
        "Of a cine, they follow in time."
    ]


def _gap(frames: Sequence[DicomFrame], index: int) -> str:
    before, after = frames[index], frames[index + 1]
    low, high = places(frames)[index : index + 2]
    return f"{high - low:.2f} mm between {before.name} and {after.name} (at {low:.2f} and {high:.2f} mm)"


def _largest_offset(frames: Sequence[DicomFrame]) -> float:
    """Give how far the slices are off the even spacing between the first and the last, at most, mm."""
    positions = _positions(frames)
    share = np.linspace(0.0, 1.0, len(frames))[:, None]
    even = positions[0] * (1 - share) + positions[-1] * share
    return float(np.linalg.norm(positions - even, axis=1).max())


def _numbers(frame: DicomFrame) -> tuple[int, int, str]:
    return frame.instance_number, frame.number or 0, frame.path.name


def _positions(frames: Sequence[DicomFrame]) -> FloatArray:
    return np.array([frame.position for frame in frames], dtype=np.float64)


def _orientation(frame: DicomFrame) -> list[float]:
    return [] if frame.orientation is None else frame.orientation.tolist()
