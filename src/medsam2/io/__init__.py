"""Files in, files out: NIfTI, NRRD, MetaImage, PNG, JPEG and TIFF."""

from medsam2.io.formats import check_output, read_label_map, read_volume, write_segmentation, write_volume

__all__ = ["check_output", "read_label_map", "read_volume", "write_segmentation", "write_volume"]
