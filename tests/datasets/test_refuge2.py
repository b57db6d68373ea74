import numpy as np
import pytest

from medsam2.errors import FormatError
from reference.dataset_trees import disc_and_cup, write_picture


def test_the_challenges_layout(tree, cases):
    found = cases("refuge2", tree("refuge2"))
    assert {name: source.split for name, source in found.items()} == {
        "T0001": "test",
        "g0001": "training",
        "n0001": "training",
    }
    case = found["g0001"].load()
    disc, cup = disc_and_cup()
    assert dict(case.names) == {1: "optic disc", 2: "optic cup"}
    assert np.array_equal(case.truth(1)[0], disc)  # with the cup in it
    assert np.array_equal(case.truth(2)[0], cup)
    assert case.volume.is_rgb
    assert not case.is_sequence


def test_seven_raters_decide_by_majority(tree, cases):
    root = tree("refuge2-released")
    found = cases("refuge2", root)
    assert {name: source.split for name, source in found.items()} == {"T0001": "test", "g0001": "training"}
    case = found["T0001"].load()
    disc, cup = disc_and_cup((16, 16))
    assert np.mean(case.truth(1)[0] != disc) < 0.05  # JPEG moves an edge here and there
    assert np.mean(case.truth(2)[0] != cup) < 0.05
    write_picture(root / "Test-400" / "T0001" / "T0001_seg_cup_1_cropped.jpg", np.zeros((16, 16), np.uint8))
    assert dict(cases("refuge2", root)["T0001"].load().names) == {1: "optic disc"}  # three of seven are too few


def test_a_cup_beyond_the_disc_is_in_the_cup_alone(tree, cases):
    root = tree("refuge2-released")
    beyond = np.zeros((16, 16), np.uint8)
    beyond[:, 8:] = 255
    for rater in range(1, 8):
        write_picture(root / "Test-400" / "T0001" / f"T0001_seg_cup_{rater}_cropped.jpg", beyond)
    case = cases("refuge2", root)["T0001"].load()
    assert case.truth(2)[0].sum() == 128
    assert case.truth(1)[0, 0].sum() == 0


def test_faults(tree, cases, problems):
    root = tree("refuge2")
    (root / "Test400" / "T0001.jpg").rename(root / "Test400" / "T0002.jpg")
    told = problems("refuge2", root)
    assert "T0002.jpg: has no labels" in told
    assert "T0001.bmp: has no image" in told
    root = tree("refuge2-released")
    (root / "Test-400" / "T0001" / "T0001_seg_disc_5_cropped.jpg").unlink()
    (root / "Training-400" / "g0001" / "g0001_cropped.jpg").unlink()
    told = problems("refuge2", root)
    assert "T0001_seg_disc_5_cropped.jpg is missing; expected the photograph and 7 raters" in told
    assert "g0001_cropped.jpg is missing" in told


def test_greys_and_sizes_that_do_not_fit(tree, cases):
    root = tree("refuge2")
    write_picture(next(root.glob("**/T0001.bmp")), np.full((12, 10), 77, np.uint8))
    write_picture(next(root.glob("**/g0001.bmp")), np.full((9, 9), 0, np.uint8))
    with pytest.raises(FormatError) as error:
        cases("refuge2", root)
    assert "T0001.bmp: holds 77; expected the greys 0, 128, 255" in str(error.value)
    assert "g0001: the labels lie on 9 x 9 x 1 voxels" in str(error.value)
    root = tree("refuge2-released")
    write_picture(root / "Test-400" / "T0001" / "T0001_seg_cup_3_cropped.jpg", np.zeros((9, 9), np.uint8))
    with pytest.raises(FormatError, match=r"cup_3_cropped\.jpg: has shape \(9, 9\), the first rater's \(16, 16\)"):
        cases("refuge2", root)


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match=r"holds no such files; expected NAME\.jpg and NAME\.bmp"):
        cases("refuge2", tmp_path)
