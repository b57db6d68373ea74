"""A writer of synthetic DICOM: series of slices, enhanced images and pictures, with a patient who must stay unknown."""

from pathlib import Path

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)
OBLIQUE = (0.8, 0.48, -0.36, -0.6, 0.64, -0.48)

PATIENT = {"PatientName": "SECRET^NAME", "PatientID": "SECRET-ID", "PatientBirthDate": "19010203"}
DAY = {"StudyDate": "20010203", "AcquisitionDate": "20010203", "AcquisitionTime": "040506", "StudyTime": "040506"}

SOP_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "US": UltrasoundMultiFrameImageStorage,
}
ROOT = "1.2.826.0.1.3680043.8.498"


def uid(*numbers):
    """The same UID for the same numbers."""
    return ".".join((ROOT, *(str(number) for number in numbers)))


def normal(orientation):
    return np.cross(orientation[:3], orientation[3:])


def picture(pixels, **attributes):
    """Make a dataset of (H, W), (H, W, 3) or (n, H, W[, 3]) pixels; an attribute of None is left out."""
    pixels = np.asarray(pixels)
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    frames = pixels.ndim - (3 if colour else 2)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = 8 * pixels.dtype.itemsize
    modality = attributes.get("Modality", "CT")
    defaults = {
        **PATIENT,
        **DAY,
        "SOPClassUID": SOP_CLASSES.get(modality, SecondaryCaptureImageStorage),
        "SOPInstanceUID": uid(9, 1),
        "StudyInstanceUID": uid(1),
        "SeriesInstanceUID": uid(2),
        "FrameOfReferenceUID": uid(3),
        "SeriesNumber": 1,
        "Modality": modality,
        "InstanceNumber": 1,
        "Rows": pixels.shape[frames],
        "Columns": pixels.shape[frames + 1],
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "NumberOfFrames": len(pixels) if frames else None,
    }
    for name, value in {**defaults, **attributes}.items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def write(dataset, path):
    """Write a dataset as a file, in folders that are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(folder, array, orientation=AXIAL, step=None, places=None, series=2, **attributes):
    """Write one file a slice; what is a list in the attributes is one value a slice.

    Args:
        folder: Where the files IM000, IM001, ... go.
        array: (n, H, W) of stored values.
        orientation: Row cosines and column cosines.
        step: Vector from slice to slice, mm; by default 2.5 along the normal.
        places: How many steps slice k lies from the first; by default k.
        series: A number that makes the UIDs.
        attributes: Further elements, or others.
    """
    step = 2.5 * normal(orientation) if step is None else np.asarray(step, float)
    places = range(len(array)) if places is None else places
    paths = []
    for number, (pixels, place) in enumerate(zip(array, places, strict=True)):
        own = {name: value[number] if isinstance(value, list) else value for name, value in attributes.items()}
        position = np.array([-100.25, 50.5, 30.125]) + place * step
        elements = {
            "SOPInstanceUID": uid(9, series, number),
            "SeriesInstanceUID": uid(2, series),
            "SeriesNumber": series,
            "InstanceNumber": number + 1,
            "ImagePositionPatient": [f"{value:.10g}" for value in position],
            "ImageOrientationPatient": list(orientation),
            "PixelSpacing": [0.75, 0.5],
            "SliceThickness": 2.5,
            **own,
        }
        paths.append(write(picture(pixels, **elements), Path(folder) / f"IM{number:03d}"))
    return paths


def item(**elements):
    """A sequence of one item."""
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return [dataset]


def enhanced(array, modality="CT", orientation=AXIAL, step=None, places=None, frames=(), **attributes):
    """Make an enhanced image of (n, H, W); `frames` holds further functional groups of each frame."""
    step = 2.5 * normal(orientation) if step is None else np.asarray(step, float)
    places = range(len(array)) if places is None else places
    kind = EnhancedCTImageStorage if modality == "CT" else EnhancedMRImageStorage
    dataset = picture(array, SOPClassUID=kind, Modality=modality, **attributes)
    dataset.SharedFunctionalGroupsSequence = item(
        PixelMeasuresSequence=item(PixelSpacing=[0.75, 0.5], SliceThickness=2.5),
        PlaneOrientationSequence=item(ImageOrientationPatient=list(orientation)),
    )
    groups = []
    for number, place in enumerate(places):
        position = np.array([-100.25, 50.5, 30.125]) + place * step
        (group,) = item(
            PlanePositionSequence=item(ImagePositionPatient=[f"{value:.10g}" for value in position]),
            **(frames[number] if frames else {}),
        )
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    return dataset
