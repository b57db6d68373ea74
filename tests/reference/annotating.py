"""What other programs draw on a series: presentation states and structured reports, made with highdicom."""

import warnings

import numpy as np
import pydicom
from highdicom import UID, pr, sr
from highdicom.sr import templates
from pydicom.sr.codedict import codes

MADE_BY = {"manufacturer": "Maker"}
STATE = {**MADE_BY, "manufacturer_model_name": "M", "software_versions": "1", "device_serial_number": "1"}


def images(source):
    return [pydicom.dcmread(path) for path in source.header.files]


def shape(kind, *points, **tracking):
    return pr.GraphicObject(kind, np.array(points, float), "PIXEL", **tracking)


def presentation_state(path, source, drawn, whole=False, change=None):
    """Write a presentation state.

    Args:
        path: Where.
        source: Of `scanned_series.scan`.
        drawn: Slice k to what is drawn on it.
        whole: Whether drawings name no image.
        change: Changes the dataset before it is written.
    """
    series = images(source)
    layer = pr.GraphicLayer("DRAWN", 1)
    annotations = [
        pr.GraphicAnnotation([series[k]], layer, graphic_objects=shapes) for k, shapes in sorted(drawn.items())
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pr.GrayscaleSoftcopyPresentationState(
            series,
            UID(),
            9,
            UID(),
            1,
            content_label="DRAWN",
            graphic_layers=[layer],
            graphic_annotations=annotations,
            **STATE,
        )
    for item in dataset.GraphicAnnotationSequence if whole else ():
        del item.ReferencedImageSequence
    if change is not None:
        change(dataset)
    dataset.save_as(path)
    return path


def measured(source, k, *lines, name="Lesion 1", kind="POLYLINE"):
    """A measurement group with a number for each line on slice k, points as (column, row) of pixel centres."""
    image = images(source)[k]
    reference = sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID)
    numbers = [
        sr.Measurement(
            codes.SCT.Length,
            10.0,
            codes.UCUM.Millimeter,
            referenced_coordinates=[sr.CoordinatesForMeasurement(kind, np.array(line, float) + 0.5, reference)],
        )
        for line in lines
    ]
    return sr.MeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(UID(), name), measurements=numbers, finding_type=codes.SCT.Neoplasm
    )


def region(source, k, kind, points, name="Lesion 1"):
    """A region on slice k, points as (column, row) of pixel centres."""
    image = images(source)[k]
    reference = sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID)
    drawn = sr.ImageRegion(kind, np.array(points, float) + 0.5, reference)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(UID(), name), referenced_region=drawn
    )


def region_in_patient(kind, points, frame_of_reference, name="Lesion 1"):
    """A region in LPS mm."""
    drawn = sr.ImageRegion3D(kind, np.array(points, float), frame_of_reference)
    tracking = sr.TrackingIdentifier(UID(), name)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking, referenced_region=drawn, finding_type=codes.SCT.Neoplasm
    )


def structured_report(path, source, groups, change=None):
    """Write a structured report of TID 1500."""
    context = sr.ObservationContext(
        observer_device_context=sr.ObserverContext(codes.DCM.Device, sr.DeviceObserverIdentifyingAttributes(UID()))
    )
    content = templates.MeasurementReport(context, codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = sr.Comprehensive3DSR(images(source), content[0], UID(), 9, UID(), 1, **MADE_BY)
    if change is not None:
        change(dataset)
    dataset.save_as(path)
    return path
