"""Files in, files out: NIfTI, NRRD, MetaImage, PNG, JPEG and TIFF."""

from medsam2.io.formats import check_output, read_label_map, read_volume, write_segmentation, write_volume
from medsam2.io.image_files import ImageFile, find_images

__all__ = [
    "ImageFile",
    "check_output",
    "find_images",
    "read_label_map",
    "read_volume",
    "write_segmentation",
    "write_volume",
]
