"""Files in, files out: NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF and DICOM."""

from medsam2.io.annotation import Annotation, AnnotationFile
from medsam2.io.coco import CocoImage, write_coco
from medsam2.io.dicom_series import DicomSeries, SeriesSummary
from medsam2.io.formats import (
    check_output,
    list_series,
    open_pacs,
    read_annotations,
    read_label_map,
    read_volume,
    write_segmentation,
    write_volume,
)
from medsam2.io.image_files import ImageFile, find_images
from medsam2.io.kinds import is_dicom
from medsam2.io.label_formats import LabelFormat
from medsam2.io.segments import Algorithm

__all__ = [
    "Algorithm",
    "Annotation",
    "AnnotationFile",
    "CocoImage",
    "DicomSeries",
    "ImageFile",
    "LabelFormat",
    "SeriesSummary",
    "check_output",
    "find_images",
    "is_dicom",
    "list_series",
    "open_pacs",
    "read_annotations",
    "read_label_map",
    "read_volume",
    "write_coco",
    "write_segmentation",
    "write_volume",
]
