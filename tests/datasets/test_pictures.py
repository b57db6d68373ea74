import numpy as np
import pytest
from PIL import Image

from medsam2.datasets.pictures import filled, picture_labels, read_black_and_white, read_greys
from medsam2.errors import FormatError

MASK = np.zeros((6, 8), bool)
MASK[2:5, 3:7] = True


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_black_and_white_of_any_kind(tmp_path, suffix, mode):
    if (suffix, mode) == (".jpg", "1"):
        return
    Image.fromarray(MASK.astype(np.uint8) * 255).convert(mode).save(tmp_path / f"m{suffix}")
    found = read_black_and_white(tmp_path / f"m{suffix}")
    assert found.mean() == pytest.approx(MASK.mean(), abs=0.05)
    assert suffix == ".jpg" or np.array_equal(found, MASK)


def test_zeros_and_ones_are_a_mask_and_greys_are_none(tmp_path):
    Image.fromarray(MASK.astype(np.uint8)).save(tmp_path / "m.png")
    assert np.array_equal(read_black_and_white(tmp_path / "m.png"), MASK)
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(tmp_path / "m.png")
    with pytest.raises(FormatError, match=r"m\.png: holds 0, 1, 2, 3, \.\.\.; expected a mask of 0 and 255"):
        read_black_and_white(tmp_path / "m.png")


def test_greys_are_labels(tmp_path):
    Image.fromarray(np.array([[0, 128, 255]], np.uint8)).save(tmp_path / "m.bmp")
    assert read_greys(tmp_path / "m.bmp", {0: 2, 128: 1, 255: 0}).tolist() == [[2, 1, 0]]
    with pytest.raises(FormatError, match=r"m\.bmp: holds 128; expected the greys 0, 255"):
        read_greys(tmp_path / "m.bmp", {0: 2, 255: 0})


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "m.png").write_text("text")
    for path in (tmp_path / "m.png", tmp_path / "none.png"):
        with pytest.raises(FormatError, match=f"{path.name} cannot be read"):
            read_black_and_white(path)


def test_outlines_are_filled_with_their_border():
    square = [(3.0, 2.0), (6.0, 2.0), (6.0, 4.0), (3.0, 4.0)]
    assert np.array_equal(filled([square], (6, 8)), MASK)
    assert np.array_equal(filled([square, [(0, 0), (0, 5)], [(1.0, 1.0)]], (6, 8))[:, 1:], MASK[:, 1:])
    assert filled([square, [(0, 0), (0, 5)]], (6, 8)).sum() == MASK.sum() + 6
    assert filled([[(-5, -5), (50, -5), (50, 50), (-5, 50)]], (6, 8)).all()


def test_labels_of_a_picture_lie_on_a_picture_grid(tmp_path):
    labels = picture_labels(MASK.astype(np.uint8), tmp_path / "m.png")
    assert labels.labels.shape == (1, 6, 8)
    assert np.array_equal(labels.geometry.affine, np.eye(4))
    assert labels.source.path == tmp_path / "m.png"
