"""A synthetic CT series as a scanner stores it, and the source that a reader would keep of it."""

import warnings
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medsam2.io.dicom_series import DicomInstance, DicomSeries
from medsam2.spatial import Geometry, SourceFile

CT = "1.2.840.10008.5.1.4.1.1.2"
OBLIQUE = (np.cos(0.3), np.sin(0.3), 0.0, -np.sin(0.3) * np.cos(0.2), np.cos(0.3) * np.cos(0.2), np.sin(0.2))
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def scan(folder, shape=(5, 12, 10), orientation=AXIAL, tilt_mm=0.0, change=None):
    """Write a series.

    Args:
        folder: Where.
        shape: (D, H, W).
        orientation: Row and column cosines.
        tilt_mm: How far each slice is shifted along its columns, as with a tilted gantry.
        change: Changes each dataset, given its slice number, before it is written.

    Returns:
        The source, and the geometry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame_of_reference = (generate_uid() for _ in range(3))
    affine = _affine(orientation, tilt_mm)
    instances = []
    for k in range(shape[0]):
        dataset = _image(shape, affine, k, orientation)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.FrameOfReferenceUID = frame_of_reference
        if change is not None:
            change(dataset, k)
        path = folder / f"IM{k:04d}"
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        instances.append(DicomInstance(path, None, dataset.SOPInstanceUID))
    files = tuple(instance.path for instance in instances)
    header = DicomSeries(study, series, frame_of_reference, "CT", files, tuple(instances))
    return SourceFile(folder, "dicom", header), Geometry(shape, affine)


def multiframe(path, source):
    """Convert a series into one multi-frame file, its slices the other way round.

    Returns:
        The source, and the frame number of each slice.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = [pydicom.dcmread(file) for file in source.header.files]
        convert = highdicom.legacy.LegacyConvertedEnhancedCTImage
        enhanced = convert(images[::-1], highdicom.UID(), 7, highdicom.UID(), 1)
        enhanced.save_as(path)
    positions = [one.PlanePositionSequence[0].ImagePositionPatient for one in enhanced.PerFrameFunctionalGroupsSequence]
    frames = [positions.index(image.ImagePositionPatient) + 1 for image in images]
    instances = tuple(DicomInstance(path, frame, enhanced.SOPInstanceUID) for frame in frames)
    series = replace(source.header, series_uid=enhanced.SeriesInstanceUID, files=(path,), instances=instances)
    return SourceFile(path, "dicom", series), frames


def _affine(orientation, tilt_mm):
    along_row, along_column = np.reshape(orientation, (2, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along_row * 0.8, along_column * 0.7
    affine[:3, 2] = np.cross(along_row, along_column) * 3.0 + along_column * tilt_mm
    affine[:3, 3] = -120.5, -98.25, 40.0
    return affine


def _image(shape, affine, k, orientation):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, generate_uid()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "20200102", "101112", "A1", "S1"
    dataset.ContentDate, dataset.ContentTime, dataset.SeriesDate, dataset.SeriesTime = ("20200102", "101112") * 2
    dataset.AcquisitionDate, dataset.AcquisitionTime, dataset.AcquisitionNumber = "20200102", "101112", 1
    dataset.Modality, dataset.Manufacturer, dataset.ReferringPhysicianName = "CT", "Maker", "Doctor^Who"
    dataset.PatientName, dataset.PatientID = "Müller^Jürgen", "P-4711"
    dataset.PatientBirthDate, dataset.PatientSex = "19600504", "M"
    dataset.SeriesNumber, dataset.InstanceNumber = 4, k + 1
    dataset.PositionReferenceIndicator, dataset.PatientPosition = "", "HFS"
    dataset.ImagePositionPatient = [round(value, 6) for value in (affine @ [0, 0, k, 1])[:3]]
    dataset.ImageOrientationPatient = [round(value, 9) for value in orientation]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.KVP = [0.7, 0.8], 3.0, 120
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = shape[1:]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
    dataset.PixelData = np.full(shape[1:], k, np.int16).tobytes()
    return dataset
