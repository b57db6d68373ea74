"""Slicer's segmentations, read back with SimpleITK, slicerio (by Slicer's own people) and medsam2."""

import nrrd
import numpy as np
import pytest
import SimpleITK
import slicerio

from medsam2.errors import FormatError, GeometryError, InputError
from medsam2.io import LabelFormat, check_output, read_label_map, read_volume, write_segmentation
from medsam2.io.segments import PALETTE
from medsam2.spatial import Geometry, Segmentation, Volume
from reference.scanned_series import OBLIQUE, scan

NAMES = {1: "liver", 3: "a\\b\nc", 7: "Kidney, left", 9: "spleen"}


def labels(shape=(3, 4, 5)):
    array = np.zeros(shape, np.uint8)
    array[1, 2, 3], array[2, 0, :], array[0, 1:3, 1] = 3, 1, 7
    return array


def oblique():
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0] * [0.5, 0.75, 3.0]
    affine[:3, 3] = -100.25, 33.125, 7.0
    return Geometry((3, 4, 5), affine)


def written(tmp_path, geometry=None, source=None, names=NAMES):
    path = tmp_path / "mask.seg.nrrd"
    segmentation = Segmentation(labels(), geometry or oblique(), names, source)
    assert write_segmentation(segmentation, path) == ()
    return segmentation, path


def test_slicerio_reads_labels_geometry_names_and_colours(tmp_path):
    segmentation, path = written(tmp_path)
    read = slicerio.read_segmentation(str(path))

    assert np.array_equal(read["voxels"], segmentation.labels.transpose(2, 1, 0))
    np.testing.assert_allclose(read["ijkToLPS"], segmentation.geometry.affine, atol=1e-9)
    assert [segment["name"] for segment in read["segments"]] == ["liver", "a/b c", "Kidney, left", "spleen"]
    assert [segment["labelValue"] for segment in read["segments"]] == [1, 3, 7, 9]
    assert {segment["layer"] for segment in read["segments"]} == {0}
    assert len({segment["id"] for segment in read["segments"]}) == 4
    for segment, colour in zip(read["segments"], PALETTE, strict=False):
        assert np.array_equal(np.round(np.multiply(segment["color"], 255)), colour)
    assert read["containedRepresentationNames"] == ["Binary labelmap"]
    assert read["masterRepresentation"] == "Binary labelmap"


def test_slicerio_takes_a_segment_out_by_its_name(tmp_path):
    segmentation, path = written(tmp_path)
    taken = slicerio.extract_segments(slicerio.read_segmentation(str(path)), [("Kidney, left", 1)])

    assert np.array_equal(taken["voxels"] == 1, segmentation.mask(7).transpose(2, 1, 0))


def test_extents_hold_the_objects(tmp_path):
    _, path = written(tmp_path)
    extents = [segment["extent"] for segment in slicerio.read_segmentation(str(path))["segments"]]

    assert extents == [[0, 4, 0, 0, 2, 2], [3, 3, 2, 2, 1, 1], [1, 1, 1, 2, 0, 0], [0, -1, 0, -1, 0, -1]]


def test_known_names_are_coded_as_slicer_codes_them(tmp_path):
    _, path = written(tmp_path)
    liver, unknown, kidney, _ = (one["terminology"] for one in slicerio.read_segmentation(str(path))["segments"])

    assert liver["category"] == ["SCT", "123037004", "Anatomical Structure"]
    assert liver["type"] == ["SCT", "10200004", "Liver"]
    assert kidney["typeModifier"] == ["SCT", "7771000", "Left"]
    assert unknown["type"] == ["SCT", "85756007", "Tissue"]


def test_simpleitk_sees_the_label_map_and_the_fields(tmp_path):
    segmentation, path = written(tmp_path)
    image = SimpleITK.ReadImage(str(path))

    assert np.array_equal(SimpleITK.GetArrayFromImage(image), segmentation.labels)
    assert image.GetMetaData("Segment1_Name") == "a/b c"
    assert image.GetMetaData("Segment0_LabelValue") == "1"
    assert image.GetMetaData("Segmentation_ReferenceImageExtentOffset") == "0 0 0"


def test_the_geometry_is_the_scans_to_the_bit(tmp_path):
    image = SimpleITK.GetImageFromArray(np.zeros((3, 4, 5), np.int16))
    image.SetSpacing((0.1, 0.3, 1.7))
    image.SetOrigin((-100.1, 20.7, 3.3))
    image.SetDirection(np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0].ravel().tolist())
    SimpleITK.WriteImage(image, str(tmp_path / "scan.nrrd"))
    volume = read_volume(tmp_path / "scan.nrrd")
    segmentation, path = written(tmp_path, volume.geometry, volume.source)
    read = read_label_map(path)

    assert np.array_equal(read.geometry.affine, volume.geometry.affine)
    assert np.array_equal(read.labels, segmentation.labels)


def test_a_picture_becomes_a_volume_of_one_slice(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((4, 5), np.uint8)), str(tmp_path / "scan.nrrd"))
    volume = read_volume(tmp_path / "scan.nrrd")
    segmentation = Segmentation(np.ones((1, 4, 5), np.uint8), volume.geometry, source=volume.source)
    write_segmentation(segmentation, tmp_path / "mask.nrrd", LabelFormat.SEG_NRRD)

    assert SimpleITK.ReadImage(str(tmp_path / "mask.nrrd")).GetSize() == (5, 4, 1)


def test_labels_beyond_255_and_letters_of_any_script(tmp_path):
    array = labels().astype(np.uint16) * 100
    write_segmentation(Segmentation(array, oblique(), {700: "Läsion 腎"}), tmp_path / "mask.seg.nrrd")

    assert np.array_equal(read_label_map(tmp_path / "mask.seg.nrrd").labels, array)
    assert "Segment2_Name:=Läsion 腎\n".encode() in (tmp_path / "mask.seg.nrrd").read_bytes()


def test_an_oblique_dicom_series_can_be_written(tmp_path):
    source, geometry = scan(tmp_path / "scan", shape=(3, 4, 5), orientation=OBLIQUE)
    _, path = written(tmp_path, geometry, source)

    np.testing.assert_allclose(read_label_map(path).geometry.affine, geometry.affine, atol=1e-9)


def test_a_sheared_grid_is_refused_before_the_work(tmp_path):
    affine = np.eye(4)
    affine[1, 2] = 0.3
    volume = Volume(np.zeros((3, 4, 5), np.int16), Geometry((3, 4, 5), affine))
    with pytest.raises(GeometryError, match="is sheared"):
        check_output(volume, tmp_path / "mask.seg.nrrd")
    assert list(tmp_path.iterdir()) == []


def test_names_come_back_with_the_labels(tmp_path):
    _, path = written(tmp_path)
    read = read_label_map(path)

    assert dict(read.names) == {1: "liver", 3: "a/b c", 7: "Kidney, left", 9: "spleen"}
    assert np.array_equal(read.labels, labels())


def test_nrrd_of_other_programs_has_no_names(tmp_path):
    image = SimpleITK.GetImageFromArray(labels())
    for key, value in (("Segment0_LabelValue", "many"), ("Segment0_Name", "liver"), ("Segment1_LabelValue", "3")):
        image.SetMetaData(key, value)
    SimpleITK.WriteImage(image, str(tmp_path / "mask.nrrd"))

    assert dict(read_label_map(tmp_path / "mask.nrrd").names) == {}


def layered(path, layers):
    """A segmentation as Slicer saves one whose segments overlap: (layers, 5, 4, 3) along layer, i, j, k."""
    voxels = np.zeros((layers, 5, 4, 3), np.uint8)
    header = {"space": "left-posterior-superior", "space origin": [1, 2, 3], "kinds": ["list", *["domain"] * 3]}
    header["space directions"] = np.array([[np.nan] * 3, [1, 0, 0], [0, 1, 0], [0, 0, 3]])
    for layer in range(layers):
        voxels[layer, layer : layer + 2, 2, 1] = 1
        fields = {"Name": f"segment {layer}", "LabelValue": "1", "Layer": str(layer), "ID": f"Segment_{layer}"}
        header |= {f"Segment{layer}_{key}": value for key, value in fields.items()}
    nrrd.write(str(path), voxels, header)
    return voxels


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_segments_that_overlap_are_layers(tmp_path, layers):
    voxels = layered(tmp_path / "mask.seg.nrrd", layers)
    words = rf"mask\.seg\.nrrd holds overlapping segments in {layers} layers; expected one label map\. Export"
    with pytest.raises(FormatError, match=words) as refused:
        read_label_map(tmp_path / "mask.seg.nrrd")
    assert "--" not in str(refused.value)
    for layer in range(layers):
        read = read_label_map(tmp_path / "mask.seg.nrrd", layer)
        assert np.array_equal(read.labels, voxels[layer].T)
        assert dict(read.names) == {1: f"segment {layer}"}
    with pytest.raises(InputError, match=rf"volume index {layers} is not in .*expected 0\.\.{layers - 1}"):
        read_label_map(tmp_path / "mask.seg.nrrd", layers)


def test_colours_are_no_layers(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), True), tmp_path / "a.nrrd")
    with pytest.raises(FormatError, match="is a colour picture; expected a label map"):
        read_label_map(tmp_path / "a.nrrd")
