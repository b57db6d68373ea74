"""Annotations as prompts; other flags are tested through `medsam2 segment`."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medsam2.cli.prompt_flags import PromptFile, PromptFlags, collect_prompts
from medsam2.errors import FormatError, PromptError
from medsam2.io import read_volume, write_segmentation
from medsam2.prompts import BoxPrompt, CoordinateSpace
from medsam2.spatial import Geometry, Plane, Segmentation, Volume
from reference.annotating import measured, presentation_state, shape, structured_report
from reference.scanned_series import OBLIQUE, scan


@pytest.fixture
def source(tmp_path):
    return scan(tmp_path / "scan", orientation=OBLIQUE)[0]


@pytest.fixture
def volume(source):
    return read_volume(source.path)


def flags(file, name=None, **given):
    return PromptFlags((), (), given.get("masks", ()), Path(file), CoordinateSpace.VOXEL, name)


def segmentation(volume, names):
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[2, 3:9, 2:5], labels[2, 3:9, 6:8], labels[1:3, 1:3, 1:3] = 1, 4, 9
    return Segmentation(labels, volume.geometry, names, volume.source)


@pytest.mark.parametrize("file", ["drawn.dcm", "drawn.rtstruct.dcm"])
def test_segments_and_rois_become_drawn_slices_with_names_that_differ(volume, tmp_path, file):
    drawn = segmentation(volume, {1: "liver", 4: "cyst", 9: "cyst"})
    write_segmentation(drawn, tmp_path / file)
    prompts = collect_prompts(flags(tmp_path / file), volume).prompts

    assert prompts.names == {1: "liver", 2: "cyst", 3: "cyst 2"}
    for one, label in zip(prompts.objects, (1, 4, 9), strict=True):
        assert np.array_equal(one.masks[0].voxels, drawn.mask(label))
    assert {one.plane for one in prompts.resolve(volume.geometry)} == {Plane.AXIAL}


def test_a_measured_line_becomes_a_box_on_its_slice(source, volume, tmp_path):
    state = presentation_state(tmp_path / "state.dcm", source, {3: [shape("POLYLINE", (1.5, 5.5), (7.5, 5.5))]})
    report = structured_report(tmp_path / "report.dcm", source, [measured(source, 3, [(1, 5), (7, 5)], name="node")])
    (box,) = collect_prompts(flags(state), volume).prompts.objects[0].boxes
    # 4.8 mm long, so taken to be 3.6 mm wide: 2.57 rows on each side.
    assert box == BoxPrompt(1, 2, 3, 7, 8, 3)
    assert collect_prompts(flags(report), volume).prompts.objects[0].boxes == (box,)
    assert collect_prompts(flags(report), volume).prompts.names == {1: "node"}
    assert collect_prompts(flags(state), volume).prompts.names == {1: "object 1"}
    assert collect_prompts(flags(state, "lesion"), volume).prompts.names == {1: "lesion"}


def test_an_arrow_becomes_a_click(source, volume, tmp_path):
    arrow = [shape("POLYLINE", (7.5, 8.5), (3.5, 4.5)), shape("POLYLINE", (3.5, 6.0), (3.5, 4.5), (5.0, 4.5))]
    prompts = collect_prompts(flags(presentation_state(tmp_path / "state.dcm", source, {3: arrow})), volume).prompts
    assert [point.index for point in prompts.objects[0].points] == [(3, 4, 3)]


def test_what_is_left_out_is_told(source, volume, tmp_path):
    drawn = [shape("POLYLINE", (1, 1), (3, 5), (7, 5)), shape("POINT", (2, 2))]
    told = []
    collect_prompts(flags(presentation_state(tmp_path / "state.dcm", source, {3: drawn})), volume, told.append)
    assert told == ["A polyline of 3 points was left out."]


def test_wrong_files_are_one_line(source, volume, tmp_path):
    scan(tmp_path / "other")
    write_segmentation(segmentation(volume, {}), tmp_path / "drawn.dcm")
    bare = Volume(volume.array, volume.geometry)
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "drawn.dcm").read_bytes()[:2000])
    picture = Volume(np.zeros((1, 4, 4)), Geometry((1, 4, 4), np.eye(4)))
    for file, scanned, words in (
        ("drawn.dcm", read_volume(tmp_path / "other"), "was drawn on another series than the input; choose its own"),
        ("drawn.dcm", bare, "belongs to a DICOM series, but the input is no DICOM"),
        ("drawn.dcm", picture, "belongs to a DICOM series, but the input is no DICOM"),
        ("scan/IM0001", volume, r"IM0001 holds no annotations \(CT Image Storage\); expected"),
        ("cut.dcm", volume, "cut.dcm cannot be read as DICOM"),
        ("nowhere.dcm", volume, "nowhere.dcm cannot be read: No such file"),
    ):
        with pytest.raises(FormatError, match=words) as caught:
            collect_prompts(flags(tmp_path / file), scanned)
        assert "\n" not in str(caught.value)
        assert "Müller" not in str(caught.value)


def test_annotations_and_other_prompts_are_refused_together(volume, tmp_path):
    write_segmentation(segmentation(volume, {}), tmp_path / "drawn.dcm")
    with pytest.raises(PromptError, match="one place"):
        collect_prompts(flags(tmp_path / "drawn.dcm", masks=(tmp_path / "drawn.dcm",)), volume)


def test_the_report_does_not_name_dicom_files(volume, tmp_path):
    drawn = segmentation(volume, {})
    write_segmentation(drawn, tmp_path / "Mueller.dcm")
    source = PromptFile(tmp_path / "Mueller.dcm", "DICOM annotations")
    given = collect_prompts(flags(tmp_path / "Mueller.dcm"), volume)
    assert given.files == {"prompts": source}
    assert [one["masks"] for one in given.to_json()["objects"]] == [["DICOM annotations"]] * 3


def test_each_mask_has_the_name_of_its_own_file(volume, tmp_path):
    drawn = segmentation(volume, {})
    for label, name in ((1, "a.nii.gz"), (4, "b.nii.gz")):
        write_segmentation(
            replace(drawn, labels=np.where(drawn.mask(label), label, 0).astype(np.uint8)), tmp_path / name
        )
    masks = (tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    given = collect_prompts(PromptFlags((), (), masks, None, CoordinateSpace.VOXEL, None), volume)
    assert [one["masks"] for one in given.to_json()["objects"]] == [["a.nii.gz"], ["b.nii.gz"]]
    assert {role: file.path for role, file in given.files.items()} == {"mask 1": masks[0], "mask 2": masks[1]}

    objects = [{"masks": ["b.nii.gz", "a.nii.gz"]}, {"points": [[1, 1, 1, 1]]}, {"masks": ["b.nii.gz"]}]
    (tmp_path / "p.json").write_text(json.dumps({"objects": objects}))
    given = collect_prompts(flags(tmp_path / "p.json"), volume)
    told = given.to_json()["objects"]
    assert [one.get("masks") for one in told] == [["b.nii.gz", "a.nii.gz"], None, ["b.nii.gz"]]
    assert {role: file.name for role, file in given.files.items()} == {
        "mask 1": "b.nii.gz", "mask 2": "a.nii.gz", "prompts": "p.json",
    }  # fmt: skip
