"""Results made by hand."""

import numpy as np
import pytest

from medsam2.engine.volume_result import ObjectResult, SegmentationResult, SegmentSettings, SliceConfidence
from medsam2.frames import IntensityWindow
from medsam2.spatial import Geometry, Plane, PlaneView, Segmentation, Volume

GREY_WINDOW = IntensityWindow("grey", 0.0, 100.0)


@pytest.fixture
def geometry():
    """30 x 40 x 20 voxels (i, j, k) of 1 x 1 x 2.5 mm, in LPS."""
    return Geometry((20, 40, 30), np.diag([1.0, 1.0, 2.5, 1.0]))


@pytest.fixture
def volume(geometry):
    """Mid grey everywhere in `GREY_WINDOW`."""
    return Volume(np.full(geometry.shape, 40, np.int16), geometry)


@pytest.fixture
def labels(geometry):
    """Two cuboids: label 1 in k 5..12, j 10..19, i 5..14; label 4 in k 8..9, j 25..34, i 18..25."""
    labels = np.zeros(geometry.shape, np.uint8)
    labels[5:13, 10:20, 5:15] = 1
    labels[8:10, 25:35, 18:26] = 4
    return labels


@pytest.fixture
def make_result():
    """Makes a result of a label map, as if each object had been prompted on the middle of its slices."""

    def make(labels, geometry, names, plane=Plane.AXIAL, **changes):
        view = PlaneView.of(geometry, plane)
        segmentation = Segmentation(labels, geometry, names)
        objects = tuple(_object(segmentation, label, name, view) for label, name in names.items())
        given = {"window": GREY_WINDOW, "settings": SegmentSettings(), "warnings": (), "seconds": 3.5, **changes}
        return SegmentationResult(segmentation, objects, **given)

    return make


def _object(segmentation, label, name, view):
    found = view.to_frames(segmentation.labels == label).any(axis=(1, 2))
    frames = np.flatnonzero(found).tolist() or [view.frame_count // 2]
    prompted = frames[len(frames) // 2]
    slices = [SliceConfidence(view.slice_index(t), 0.75 * found[t], 2.5, t == prompted) for t in frames]
    voxels = int((segmentation.labels == label).sum())
    return ObjectResult(
        name=name,
        label=label,
        plane=view.plane,
        voxels=voxels,
        volume_ml=voxels * segmentation.geometry.voxel_volume_ml,
        slices=tuple(sorted(slices, key=lambda one: one.slice_index)),
        seconds=1.25,
    )
