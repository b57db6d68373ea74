from base64 import b64decode

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medsam2.errors import FormatError, MissingDependencyError
from medsam2.io import dicom_pixels, read_volume
from reference.dicom_writing import enhanced, item, picture, write, write_series

LOSSLESS_JPEG = (
    "/9j/wwALEAAMAAoBAREA/8QAFgABAQEAAAAAAAAAAAAAAAAABgQQ/9oACAEBAAEAAMAAAAAAAAAAKQAAAAAAAAABSAAAAAAAAAAKQAAAAAAAAABS"
    "AAAAAAAAAAKQAAAAAAAAABSAAAAAAAAAAKQAAAAAAAAABSAAAAAAAAAAKQAAAAAAAAABSAAAAAAAAAAKQAAAAAAAAAB//9kA"
)

RNG = np.random.default_rng(0)
VALUES = RNG.integers(-900, 900, (3, 6, 4)).astype(np.int16)
COLOURS = RNG.integers(0, 256, (6, 4, 3)).astype(np.uint8)


def read_one(folder, pixels, **elements):
    return read_volume(write(picture(pixels, **elements), folder / "a"))


def test_values_without_a_scale_are_as_stored(tmp_path):
    for dtype, expected in (("u1", "u1"), ("u2", "u2"), ("i2", "i2"), ("u4", "f8")):
        pixels = RNG.integers(0, 100, (6, 4)).astype(dtype)
        array = read_one(tmp_path, pixels).array
        assert array.dtype == expected
        assert np.array_equal(array[0], pixels)


def test_ct_numbers_are_signed_whole_numbers(tmp_path):
    stored = (VALUES + 1024).astype(np.uint16)
    write_series(tmp_path, stored, RescaleSlope=1, RescaleIntercept=-1024, BitsStored=12, HighBit=11)
    array = read_volume(tmp_path).array

    assert array.dtype == np.int16
    assert np.array_equal(array, VALUES)


def test_ct_numbers_of_all_sixteen_bits_do_not_overflow(tmp_path):
    few, many = np.full((1, 6, 4), 2000, np.int16), np.full((1, 6, 4), -32768, np.int16)
    for name, stored, dtype, value in (("few", few, np.int16, 976), ("many", many, np.int32, -33792)):
        write_series(tmp_path / name, stored, RescaleSlope=1, RescaleIntercept=-1024)
        array = read_volume(tmp_path / name).array
        assert array.dtype == dtype
        assert (array == value).all()


def test_each_slice_has_its_own_scale(tmp_path):
    write_series(tmp_path, VALUES, Modality="PT", RescaleSlope=[0.5, 2, 3.25], RescaleIntercept=[0, 1, -2])
    array = read_volume(tmp_path).array

    assert array.dtype == np.float32
    expected = VALUES * np.array([0.5, 2, 3.25])[:, None, None] + np.array([0, 1, -2])[:, None, None]
    np.testing.assert_allclose(array, expected, rtol=1e-6)


def test_each_frame_has_its_own_scale(tmp_path):
    scales = [
        {"PixelValueTransformationSequence": item(RescaleSlope=slope, RescaleIntercept=-1000)} for slope in (1, 2, 3)
    ]
    array = read_volume(write(enhanced(VALUES, frames=scales), tmp_path / "a")).array

    assert np.array_equal(array, VALUES * np.array([1, 2, 3])[:, None, None] - 1000)


def test_a_modality_table_is_applied(tmp_path):
    table = item(LUTDescriptor=[4, 0, 16], LUTData=np.array([10, 20, 40, 80], "<u2").tobytes())
    pixels = RNG.integers(0, 4, (6, 4)).astype(np.uint8)
    array = read_one(tmp_path, pixels, Modality="DX", ModalityLUTSequence=table).array

    assert np.array_equal(array[0], np.array([10, 20, 40, 80])[pixels])


@pytest.mark.parametrize(("modality", "turned"), [("DX", True), ("MG", True), ("CT", False), ("PT", False)])
def test_inverted_pictures_are_turned_and_measurements_are_not(tmp_path, modality, turned):
    pixels = RNG.integers(5, 4000, (6, 4)).astype(np.uint16)
    volume = read_one(
        tmp_path, pixels, Modality=modality, PhotometricInterpretation="MONOCHROME1", PixelSpacing=[1, 1], BitsStored=12
    )

    assert volume.array.dtype == np.uint16
    assert np.array_equal(volume.array[0], int(pixels.min()) + int(pixels.max()) - pixels if turned else pixels)
    assert any("MONOCHROME1" in note for note in volume.source.notes) == turned


def test_padding_that_would_be_bright_is_made_dark_and_told(tmp_path):
    pixels = VALUES[0].copy()
    pixels[0] = 3000
    volume = read_one(tmp_path, pixels, PixelPaddingValue=3000, PixelSpacing=[1, 1])

    assert (volume.array[0, 0] == pixels[1:].min()).all()
    assert np.array_equal(volume.array[0, 1:], pixels[1:])
    assert volume.source.notes == (
        f"16.7 % of the voxels are padding and were given the least measured value, {pixels[1:].min()}.",
    )


def test_padding_that_is_dark_stays(tmp_path):
    pixels = VALUES[0].copy()
    pixels[0] = -2000
    volume = read_one(tmp_path, pixels, PixelPaddingValue=-2000, PixelSpacing=[1, 1])

    assert np.array_equal(volume.array[0], pixels)
    assert not volume.source.notes
    assert np.array_equal(read_one(tmp_path, pixels * 0, PixelPaddingValue=0).array[0], pixels * 0)


def test_colours_stay_colours(tmp_path):
    assert np.array_equal(read_one(tmp_path, COLOURS).array[0], COLOURS)
    wide = COLOURS.astype(np.uint16) << 8
    assert np.array_equal(read_one(tmp_path, wide).array[0], COLOURS)


def test_ybr_becomes_rgb(tmp_path):
    grey = np.stack([COLOURS[..., 0], np.full((6, 4), 128), np.full((6, 4), 128)], axis=-1).astype(np.uint8)
    array = read_one(tmp_path, grey, PhotometricInterpretation="YBR_FULL").array

    assert np.array_equal(array[0], np.repeat(COLOURS[..., :1], 3, axis=-1))


def test_a_palette_becomes_its_colours(tmp_path):
    palette = RNG.integers(0, 256, (256, 3)).astype(np.uint8)
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel, name in enumerate(("Red", "Green", "Blue")):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        elements[f"{name}PaletteColorLookupTableData"] = palette[:, channel].tobytes()
    array = read_one(tmp_path, COLOURS[..., 0], **elements).array

    assert np.array_equal(array[0], palette[COLOURS[..., 0]])


def test_a_cine_is_a_stack_of_frames(tmp_path):
    frames = RNG.integers(0, 256, (5, 6, 4, 3)).astype(np.uint8)
    volume = read_one(tmp_path, frames, Modality="US", FrameTime=33, PixelSpacing=[0.2, 0.3])

    assert np.array_equal(volume.array, frames)
    assert np.array_equal(volume.geometry.affine, np.diag([0.3, 0.2, 1, 1]))
    (note,) = volume.source.notes
    assert "Of a cine, they follow in time." in note


def test_lossless_jpeg_is_read(tmp_path):
    # What archives hold most, and pydicom cannot write.
    values = (9 * np.add.outer(np.arange(12), -7 * np.arange(10))).astype(np.int16)
    dataset = picture(values)
    dataset.PixelData = encapsulate([b64decode(LOSSLESS_JPEG)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1

    assert np.array_equal(read_volume(write(dataset, tmp_path / "a")).array[0], values)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_series_are_read(tmp_path, syntax):
    values = RNG.integers(-900, 900, (2, 64, 64)).astype(np.int16)
    write_series(tmp_path / "plain", values)
    for path in (tmp_path / "plain").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False)
        write(dataset, tmp_path / "compressed" / path.name)

    assert np.array_equal(read_volume(tmp_path / "compressed").array, values)


def test_a_missing_decoder_is_told_with_what_to_install(tmp_path, monkeypatch):
    dataset = picture(VALUES[0])
    dataset.compress(RLELossless)
    path = write(dataset, tmp_path / "a")
    monkeypatch.setattr(pydicom.pixels.decoders.RLELosslessDecoder, "_available", {})

    with pytest.raises(MissingDependencyError, match=r"^a is compressed as RLE Lossless; .*pip install"):
        read_volume(path)


def test_a_kind_that_the_decoders_do_not_know_is_told(tmp_path, monkeypatch):
    def unsupported(*_, **__):
        raise RuntimeError("gdcm: GDCM does not support this")

    dataset = picture(VALUES[0])
    dataset.compress(RLELossless)
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    path = write(dataset, tmp_path / "a")
    monkeypatch.setattr(dicom_pixels, "iter_pixels", unsupported)
    with pytest.raises(MissingDependencyError, match=r"^a is compressed as JPEG Lossless.* install one of: "):
        read_volume(path)


def test_a_compression_that_nobody_reads_is_told(tmp_path):
    dataset = picture(VALUES[0])
    dataset.compress(RLELossless)
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML

    with pytest.raises(FormatError, match=r"^a is compressed as MPEG2.*, which is not supported"):
        read_volume(write(dataset, tmp_path / "a"))


def test_damaged_compressed_pixels_are_told_in_one_line(tmp_path):
    dataset = picture(RNG.integers(-900, 900, (64, 64)).astype(np.int16))
    dataset.compress(JPEG2000Lossless)
    dataset.PixelData = dataset.PixelData[:40] + bytes(len(dataset.PixelData) - 40)

    with pytest.raises(FormatError) as error:
        read_volume(write(dataset, tmp_path / "a"))
    assert str(error.value).startswith("a")
    assert "\n" not in str(error.value)


def test_missing_and_truncated_pixels_are_told(tmp_path):
    dataset = picture(VALUES[0])
    path = write(dataset, tmp_path / "a")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(
        FormatError, match=r"^a: the pixels \(Explicit VR Little Endian\) cannot be read; the file may be"
    ):
        read_volume(path)

    del dataset.PixelData
    with pytest.raises(FormatError, match=r"^b holds no pixel data; expected a picture"):
        read_volume(write(dataset, tmp_path / "b"))


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_that_lost_its_beginning_is_read(tmp_path, implicit):
    dataset = picture(VALUES[0])
    del dataset.file_meta
    del dataset.PatientName
    dataset.save_as(tmp_path / "a", implicit_vr=implicit, little_endian=True)

    assert np.array_equal(read_volume(tmp_path / "a").array[0], VALUES[0])


def test_implicit_files_are_read(tmp_path):
    dataset = picture(VALUES[0])
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    assert np.array_equal(read_volume(write(dataset, tmp_path / "a")).array[0], VALUES[0])


def test_a_volume_beyond_the_memory_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    path = write(picture(VALUES[0]), tmp_path / "a")
    monkeypatch.setattr(dicom_pixels.np, "empty", full)
    with pytest.raises(FormatError, match=r"^a: a volume of 4 x 6 x 1 voxels does not fit into the memory"):
        read_volume(path)
