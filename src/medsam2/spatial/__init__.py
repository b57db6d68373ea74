"""Volumes and label maps, their grids, and the planes they are seen in (numpy only)."""

from medsam2.spatial.geometry import FloatArray, Geometry
from medsam2.spatial.label_placement import place_labels
from medsam2.spatial.planes import Plane, PlaneView, acquisition_plane, plane_of_voxel_axis
from medsam2.spatial.segmentation import LabelArray, Segmentation, label_dtype
from medsam2.spatial.volume import SourceFile, Volume

__all__ = [
    "FloatArray",
    "Geometry",
    "LabelArray",
    "Plane",
    "PlaneView",
    "Segmentation",
    "SourceFile",
    "Volume",
    "acquisition_plane",
    "label_dtype",
    "place_labels",
    "plane_of_voxel_axis",
]
