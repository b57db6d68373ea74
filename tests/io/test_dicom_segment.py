"""`medsam2 segment` on DICOM, as users call it."""

import nibabel
import numpy as np
import pytest

from medsam2.cli.app import run
from medsam2.io import read_volume
from medsam2.weights import WeightsCard, save_network
from reference.dicom_writing import CORONAL, OBLIQUE, write_series

VALUES = np.random.default_rng(0).normal(100, 20, (5, 12, 10)).astype(np.int16)


@pytest.fixture
def call(tiny_network, tmp_path, capsys):
    """Run the command: its exit code and what it said."""
    weights = tmp_path / "tiny.safetensors"
    save_network(tiny_network, weights, WeightsCard("tiny", tiny_network.config))

    def segment(source, *flags):
        given = ["-i", source, "-o", tmp_path / "out.nii.gz", "--model", weights, "-d", "cpu", *flags]
        code = run(["segment", *(str(one) for one in given)])
        said = capsys.readouterr()
        return code, " ".join((said.out + said.err).split())

    return segment


def test_a_series_folder_gives_a_label_map_on_its_grid(call, tmp_path):
    write_series(tmp_path / "series", VALUES, OBLIQUE, step=(-0.9, 0.1, 1.8))
    geometry = read_volume(tmp_path / "series").geometry
    labels = np.zeros(VALUES.shape, np.uint8)
    labels[2, 3:9, 2:7] = 1
    ras = np.diag([-1, -1, 1, 1]) @ geometry.affine
    nibabel.save(nibabel.Nifti1Image(labels.T, ras), tmp_path / "drawn.nii.gz")
    code, said = call(tmp_path / "series", "--mask", tmp_path / "drawn.nii.gz")
    written = nibabel.load(tmp_path / "out.nii.gz")

    assert code == 0, said
    np.testing.assert_allclose(written.affine, ras, rtol=0, atol=1e-5)
    assert np.array_equal(np.asarray(written.dataobj).T[2], labels[2])


def test_what_was_left_out_is_a_warning_even_when_quiet(call, tmp_path):
    write_series(tmp_path / "study" / "a", VALUES, series=3)
    write_series(tmp_path / "study" / "b", VALUES[:1], CORONAL, series=4, ImageType="ORIGINAL\\PRIMARY\\LOCALIZER")
    code, said = call(tmp_path / "study", "--box", "2,3,2,7,9,2", "-q")

    assert code == 0, said
    assert "medsam2: warning: Of 2 series, the only volume was read: series 3: CT" in said


def test_a_series_or_volume_has_to_be_chosen(call, tmp_path):
    write_series(tmp_path / "study" / "a", VALUES, series=3)
    write_series(
        tmp_path / "study" / "b", [*VALUES, *VALUES], series=4, places=[*range(5)] * 2, EchoTime=[1] * 5 + [2] * 5
    )
    box = ("--box", "2,3,2,7,9,2")

    for flags, code, words in (
        ((), 3, "there are 2 series to choose from; choose one by its number or UID"),
        (("--series", "9"), 2, 'no series with the number or UID "9"'),
        (("--series", "4"), 3, "holds 2 volumes; expected one. Choose one (volume_index in Python): 0: "),
        (("--series", "4", "--volume-index", "2"), 2, "volume index 2 is not in the series"),
        (("--series", "4", "--volume-index", "1"), 0, "wrote"),
        (("--series", "3"), 0, "wrote"),
    ):
        found, said = call(tmp_path / "study", *box, *flags)
        assert (found, words in said) == (code, True), said
        assert "Traceback" not in said


def test_what_is_no_series_is_one_line(call, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "slice.dcm").write_text("Dear reader")

    for source, words in (("empty", "the folder holds no DICOM file"), ("slice.dcm", "its content is not")):
        code, said = call(tmp_path / source, "--box", "2,3,2,7,9,2")
        assert (code, words in said) == (3, True), said
