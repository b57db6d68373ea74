"""The series that annotations must belong to: which slice an image is, and which voxel a place in the patient."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import FormatError
from medsam2.io.dicom_series import DicomSeries
from medsam2.io.dicom_sources import read_sources
from medsam2.spatial import FloatArray, Geometry, Volume, place_labels
from medsam2.spatial.geometry import GRID_TOLERANCE_VOXELS

if TYPE_CHECKING:
    from pydicom import Dataset

ImageReference = tuple[str, int | None]
"""SOP instance UID, and the frame from 1; None if the reference names no frame."""


class AnnotatedSeries:
    """A series, as annotations refer to it.

    Args:
        volume: The scan, read from DICOM.
        path: The file of annotations.
        kind: What that is, for messages.

    Raises:
        FormatError: The scan is not DICOM, or its files have changed.
    """

    def __init__(self, volume: Volume, path: Path, kind: str) -> None:
        header = volume.source.header if volume.source is not None else None
        if not isinstance(header, DicomSeries):
            raise FormatError(
                f"{path.name} ({kind}) belongs to a DICOM series, but the input is no DICOM; give the series "
                "as the input, or convert the annotations to a label map and give that as --mask."
            )
        self.series, self.geometry, self.name, self.kind = header, volume.geometry, path.name, kind
        self.sources = read_sources(header, volume.geometry, path, "used")
        self._slices: dict[ImageReference, int] = {}
        for k, instance in enumerate(header.instances):
            self._slices[instance.uid, instance.frame] = k
        counts = np.unique([instance.uid for instance in header.instances], return_counts=True)
        self._single = {uid for uid, count in zip(*counts, strict=True) if count == 1}

    def check_belongs(self, series: Collection[str], images: Collection[str], frame_of_reference: str) -> None:
        """Refuse annotations of another series.

        Args:
            series: UIDs of the series that they refer to.
            images: UIDs of the images that they refer to.
            frame_of_reference: What their places refer to; looked at if they refer to no series and no image.

        Raises:
            FormatError: They belong to another series.
        """
        known = {instance.uid for instance in self.series.instances}
        if series and self.series.series_uid not in series:
            raise FormatError(self._foreign("another series"))
        if images and known.isdisjoint(images):
            raise FormatError(self._foreign("other images of the series" if series else "another series"))
        ours = self.series.frame_of_reference_uid
        if not series and not images and (not ours or frame_of_reference != ours):
            raise FormatError(self._foreign("another series"))

    def slice_of(self, reference: ImageReference) -> int | None:
        """Give the slice k that an image is; None if it is no slice of the scan, or one of several in its file."""
        uid, frame = reference
        if reference in self._slices:
            return self._slices[reference]
        if (uid, None) in self._slices and frame in (None, 1):
            return self._slices[uid, None]
        if frame is None and uid in self._single:
            return next(k for (name, _), k in self._slices.items() if name == uid)
        return None

    def pixels_to_index(self, points: FloatArray, k: int) -> FloatArray:
        """Map places in an image, (N, 2) as DICOM counts them, to voxel indices (N, 3).

        The origin is the outer corner of the first pixel, whose centre is at 0.5, 0.5 (PS3.3, C.10.5.1.2, C.18.6.1).
        """
        return np.column_stack([points - 0.5, np.full(len(points), float(k))])

    def lps_to_index(self, points: FloatArray, k: int | None = None) -> FloatArray:
        """Map places in the patient to voxel indices, each in the true place of its slice.

        Args:
            points: (N, 3) LPS mm.
            k: The slice that they were drawn on, if it is known.

        Raises:
            FormatError: The series has no place in the patient.
        """
        index = self.geometry.lps_to_index(points)
        if k is None:
            nearest = np.unique(index[:, 2].round())
            if len(nearest) > 1 or not 0 <= nearest[0] < len(self.sources):
                return index
            k = int(nearest[0])
        own = self._slice_grid(k).lps_to_index(points)
        own[:, 2] += k
        return own

    def lay(self, mask: NDArray[np.bool_], pixels: NDArray[np.bool_], axes: FloatArray | None, k: int | None) -> None:
        """Draw a picture into a mask.

        Args:
            mask: (D, H, W), changed in place.
            pixels: (rows, columns) of the picture.
            axes: Where it lies, as `SliceSource.axes`; None if it does not say.
            k: The slice that it refers to, if it does.

        Raises:
            FormatError: It does not say where it lies.
            GeometryError: Its pixels are not voxels of the scan.
        """
        candidates = [k] if k is not None else []
        if axes is not None and self.sources[0].axes is not None:
            centre = axes @ [(pixels.shape[1] - 1) / 2, (pixels.shape[0] - 1) / 2, 1]
            candidates.append(int(self.geometry.lps_to_index([centre])[0, 2].round()))
        for candidate in candidates:
            if self._is_same_place(candidate, axes, pixels.shape):
                mask[candidate] |= pixels
                return
        if axes is None or self.sources[0].axes is None:
            raise FormatError(f"{self.name}: a frame does not say on which image of the input it lies.")
        labels = place_labels(pixels[None].astype(np.uint8), _grid(axes, pixels.shape, 1.0), self.geometry)
        mask |= labels > 0

    def _is_same_place(self, k: int, axes: FloatArray | None, shape: tuple[int, ...]) -> bool:
        """Tell whether a picture has the pixels of slice k; one without a place has, if it refers to it."""
        if not 0 <= k < len(self.sources) or shape != self.geometry.shape[1:]:
            return False
        own = self.sources[k].axes
        if axes is None or own is None:
            return axes is None and own is None
        rows, columns = shape
        corners = np.array([(x, y, 1) for x in (0, columns - 1) for y in (0, rows - 1)], np.float64)
        apart = np.linalg.norm(corners @ (axes - own).T, axis=1).max()
        return bool(apart <= GRID_TOLERANCE_VOXELS * min(self.geometry.spacing_mm))

    def _slice_grid(self, k: int) -> Geometry:
        axes = self.sources[k].axes
        if axes is None:
            raise FormatError(f"{self.name} refers to places in the patient, which the series does not know.")
        normal = np.cross(axes[:, 0], axes[:, 1])
        apart = abs(float(self.geometry.affine[:3, 2] @ normal)) / float(np.linalg.norm(normal))
        return _grid(axes, self.geometry.shape[1:], apart, self.geometry)

    def _foreign(self, what: str) -> str:
        return (
            f"{self.name} ({self.kind}) was drawn on {what} than the input; choose its own series with "
            "--series, or give another file."
        )


def image_reference(item: Dataset) -> ImageReference:
    """Read a reference to an image or to one of its frames (PS3.3, table 10-3)."""
    frames: Any = item.get("ReferencedFrameNumber")
    if isinstance(frames, int | str):
        return str(item.ReferencedSOPInstanceUID), int(frames)
    numbers = [int(frame) for frame in frames or ()]
    return str(item.ReferencedSOPInstanceUID), numbers[0] if len(numbers) == 1 else None


def _grid(axes: FloatArray, shape: tuple[int, ...], apart: float, like: Geometry | None = None) -> Geometry:
    """Give the grid of one slice; slices go on to the side on which the scan's do."""
    normal = np.cross(axes[:, 0], axes[:, 1])
    if like is not None and normal @ like.affine[:3, 2] < 0:
        normal = -normal
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 3] = axes.T
    affine[:3, 2] = normal / np.linalg.norm(normal) * apart
    return Geometry((1, shape[0], shape[1]), affine)
