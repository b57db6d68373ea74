import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from medsam2.errors import FormatError, InputError
from medsam2.io import read_label_map, read_volume, write_segmentation, write_volume
from medsam2.io.images import _pixels, read_page
from medsam2.spatial import Geometry, Plane, PlaneView, Segmentation, Volume


def grey(dtype=np.uint8, shape=(6, 7)):
    return (np.arange(np.prod(shape)).reshape(shape) * 5).astype(dtype)


def colour(shape=(6, 7, 3)):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def picture(array):
    return Geometry(array.shape[:3], np.eye(4))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_greys_keep_their_values(tmp_path, suffix, dtype):
    array = grey(dtype) * (np.iinfo(dtype).max // 255)
    Image.fromarray(array).save(tmp_path / f"scan{suffix}")
    volume = read_volume(tmp_path / f"scan{suffix}")

    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array, array[None])
    assert np.array_equal(volume.geometry.affine, np.eye(4))
    assert np.array_equal(PlaneView.of(volume.geometry, Plane.AXIAL).to_frames(volume.array)[0], array)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_are_read_without_alpha(tmp_path, suffix):
    for channels in (3, 4):
        array = colour((6, 7, channels))
        Image.fromarray(array).save(tmp_path / f"scan{suffix}")
        volume = read_volume(tmp_path / f"scan{suffix}")

        assert volume.is_rgb
        assert np.array_equal(volume.array[0], array[..., :3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_with_alpha_is_grey(tmp_path, suffix):
    Image.fromarray(np.stack([grey(), grey() // 2], axis=-1), mode=None).save(tmp_path / f"scan{suffix}")

    assert np.array_equal(read_volume(tmp_path / f"scan{suffix}").array[0], grey())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_palette_is_colours_in_a_scan_and_indices_in_a_label_map(tmp_path, suffix):
    labels = grey() % 3
    image = Image.fromarray(labels).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0, 10, 20, 30])
    image.save(tmp_path / f"labels{suffix}")
    volume = read_volume(tmp_path / f"labels{suffix}")

    assert np.array_equal(volume.array[0], np.array([[0, 0, 0], [255, 0, 0], [10, 20, 30]], np.uint8)[labels])
    assert np.array_equal(read_label_map(tmp_path / f"labels{suffix}").labels[0], labels)


def test_a_palette_with_transparency_is_read(tmp_path):
    image = Image.fromarray(grey() % 3).convert("P")
    image.save(tmp_path / "scan.png", transparency=b"\x00\xff\x80")

    assert read_volume(tmp_path / "scan.png").is_rgb


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit_is_black_and_white_in_a_scan_and_one_label_in_a_map(tmp_path, suffix):
    mask = grey() % 2 == 1
    Image.fromarray(mask).save(tmp_path / f"mask{suffix}")

    assert np.array_equal(read_volume(tmp_path / f"mask{suffix}").array[0], np.where(mask, 255, 0))
    assert np.array_equal(read_label_map(tmp_path / f"mask{suffix}").labels[0], mask)


def png(path, stored, bits):
    """Write greys of a few bits as a PNG, which Pillow cannot."""
    header = struct.pack(">IIBBBBB", *stored.shape[::-1], bits, 0, 0, 0, 0)
    packed = np.packbits(np.unpackbits(stored[..., None], axis=2)[..., -bits:].reshape(len(stored), -1), axis=1)
    rows = zlib.compress(np.pad(packed, ((0, 0), (1, 0))).tobytes())  # each begins with its filter: none
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    parts = [struct.pack(">I", len(of)) + kind + of + struct.pack(">I", zlib.crc32(kind + of)) for kind, of in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_labels_of_a_png_are_as_stored_in_however_few_bits(tmp_path, bits):
    stored = (np.arange(35).reshape(5, 7) % 2**bits).astype(np.uint8)
    png(tmp_path / "a.png", stored, bits)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png").labels[0], stored)
    spread = read_volume(tmp_path / "a.png").array[0]
    np.testing.assert_array_equal(spread, stored * (255 // (2**bits - 1)))


def tiff(path, stored, bits, photometric):
    """Write one page of (H, W) numbers, without compression, as a writer may that knows no Pillow."""
    height, width = stored.shape
    packed = np.unpackbits(stored.astype(">u2").view(np.uint8).reshape(height, width, 2), axis=2)[..., 16 - bits :]
    data = np.packbits(packed.reshape(height, -1), axis=1)
    pixels = data.tobytes() if bits < 16 else stored.astype("<u2").tobytes()
    sizes = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height}
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in {**sizes, 279: len(pixels)}.items())
    end = struct.pack("<H", len(sizes) + 1) + entries + bytes(4)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + end)


@pytest.mark.parametrize(
    ("bits", "compression"),
    [*((bits, None) for bits in (1, 2, 4, 8, 16)), *((bits, "tiff_lzw") for bits in (1, 8, 16))],
)
@pytest.mark.parametrize("photometric", [0, 1])
def test_zero_may_be_white_or_black_however_a_tiff_is_compressed(tmp_path, bits, compression, photometric):
    path, largest = tmp_path / "scan.tif", 2**bits - 1
    stored = np.array([[0, 1, largest, 0], [largest, largest // 2, 1, 0]])
    if compression is None:
        tiff(path, stored, bits, photometric)
    else:
        # Pillow turns greys of 1 and 8 bits round when it writes them, too.
        pixels = largest - stored if photometric == 0 and bits < 16 else stored
        image = Image.fromarray(pixels.astype({1: np.bool_, 8: np.uint8, 16: np.uint16}[bits]))
        image.save(path, compression=compression, tiffinfo={262: photometric})
    greys = stored * (255 // largest) if bits < 8 else stored
    shown = max(largest, 255) - greys if photometric == 0 else greys

    assert np.array_equal(read_label_map(path).labels[0], stored)
    assert np.array_equal(read_volume(path).array[0], shown)
    assert np.array_equal(read_page(path, 0).array[0], shown)
    assert read_volume(path).array.dtype == (np.uint16 if bits == 16 else np.uint8)


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.float32])
def test_of_other_types_zero_may_be_white_too(tmp_path, dtype):
    array = np.arange(42, dtype=dtype).reshape(6, 7)
    tifffile.imwrite(tmp_path / "scan.tif", array, photometric="miniswhite")
    limits = None if dtype is np.float32 else np.iinfo(dtype)
    shown = array if limits is None else (limits.max + limits.min - array.astype(np.int64)).astype(dtype)

    assert np.array_equal(read_volume(tmp_path / "scan.tif").array[0], shown)
    assert np.array_equal(read_label_map(tmp_path / "scan.tif").labels[0], array)


@pytest.mark.parametrize(("mode", "is_rgb"), [("L", False), ("RGB", True), ("CMYK", True)])
def test_jpeg_is_read(tmp_path, mode, is_rgb):
    Image.fromarray(np.full((6, 7, 3), 128, np.uint8)).convert(mode).save(tmp_path / "scan.jpeg", quality=100)
    volume = read_volume(tmp_path / "scan.jpeg")

    assert volume.is_rgb is is_rgb
    assert np.abs(volume.array.astype(int) - 128).max() <= 2


def test_the_exif_orientation_is_not_applied(tmp_path):
    image = Image.fromarray(grey())
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / "scan.jpg", exif=exif)

    assert read_volume(tmp_path / "scan.jpg").geometry.shape == (1, 6, 7)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_stack_of_pages_is_slices(tmp_path, compression, dtype):
    stack = grey(dtype, (5, 6, 7))
    first, *rest = [Image.fromarray(page) for page in stack]
    first.save(tmp_path / "stack.tif", save_all=True, append_images=rest, compression=compression)
    volume = read_volume(tmp_path / "stack.tif")

    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array, stack)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "f4", "f8", ">u2", ">f4"])
def test_tiff_keeps_its_type(tmp_path, dtype):
    array = grey(dtype, (2, 6, 7))
    tifffile.imwrite(tmp_path / "scan.tif", array, photometric="minisblack", byteorder=np.dtype(dtype).byteorder)
    read = read_volume(tmp_path / "scan.tif").array

    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(read, array)


@pytest.mark.parametrize(
    "options", [{"imagej": True}, {"ome": True}, {"bigtiff": True}, {"resolution": (300, 300)}], ids=str
)
def test_flavours_of_tiff(tmp_path, options):
    stack = grey(shape=(5, 6, 7))
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack", **options)
    volume = read_volume(tmp_path / "stack.tif")

    assert np.array_equal(volume.array, stack)
    assert volume.geometry.spacing_mm == (1, 1, 1)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("pages", [1, 5])
def test_tiff_colours(tmp_path, planar, pages):
    array = colour((pages, 6, 7, 3))
    stored = array if planar == "contig" else array.transpose(0, 3, 1, 2)
    tifffile.imwrite(tmp_path / "stack.tif", stored, photometric="rgb", planarconfig=planar)

    assert np.array_equal(read_volume(tmp_path / "stack.tif").array, array)


def test_colours_of_16_bits_keep_the_upper_8(tmp_path):
    array = colour()
    tifffile.imwrite(tmp_path / "scan.tif", array.astype(np.uint16) * 256 + 17, photometric="rgb")

    assert np.array_equal(read_volume(tmp_path / "scan.tif").array[0], array)


def test_more_axes_than_a_stack_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", grey(shape=(2, 3, 6, 7)), photometric="minisblack")

    with pytest.raises(FormatError, match=r"stack\.tif has the axes QQYX of sizes \(2, 3, 6, 7\); expected"):
        read_volume(tmp_path / "stack.tif")


def test_unequal_pages_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "stack.tif") as tiff:
        tiff.write(grey())
        tiff.write(grey(shape=(3, 7)))

    with pytest.raises(FormatError, match=r"stack\.tif holds 2 pictures of different size or type"):
        read_volume(tmp_path / "stack.tif")


def test_a_picture_is_one_volume(tmp_path):
    Image.fromarray(grey()).save(tmp_path / "scan.png")

    assert read_volume(tmp_path / "scan.png", 0).geometry.shape == (1, 6, 7)
    with pytest.raises(InputError, match=r"volume index 1 is not in .*scan\.png; expected 0\.\.0"):
        read_volume(tmp_path / "scan.png", 1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("kept", [0.05, 0.4, 0.9])
def test_truncated_pictures_are_refused_in_one_line(tmp_path, suffix, kept, capfd):
    path = tmp_path / f"scan{suffix}"
    Image.fromarray(colour((40, 50, 3))).save(path, **({"compression": "tiff_lzw"} if suffix == ".tif" else {}))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])

    with pytest.raises(FormatError, match=rf"scan\{suffix} cannot be read") as error:
        read_volume(path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_tiff_without_all_of_its_values_is_refused(tmp_path):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, grey(shape=(40, 50)))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(FormatError, match=r"scan\.tif cannot be read: .*; it may be damaged or incomplete"):
        read_volume(path)


def test_a_png_of_16_bits_that_pillow_gives_as_32_bits_has_16(tmp_path):
    image = Image.fromarray(grey(np.int32) * 50)
    image.format = "PNG"

    assert _pixels(image, as_labels=False).dtype == np.uint16
    assert np.array_equal(_pixels(image, as_labels=False), grey(np.int32) * 50)


def test_a_large_picture_is_no_attack(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    Image.fromarray(grey()).save(tmp_path / "large.png")
    Image.fromarray(grey(shape=(10, 10))).save(tmp_path / "huge.png")

    assert read_volume(tmp_path / "large.png").geometry.shape == (1, 6, 7)
    with pytest.raises(FormatError, match=r"huge\.png cannot be read: .*exceeds limit"):
        read_volume(tmp_path / "huge.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_of_a_picture_are_written(tmp_path, suffix, dtype):
    labels = grey(dtype)[None]
    write_segmentation(Segmentation(labels, picture(labels)), tmp_path / f"mask{suffix}")
    stored = np.asarray(Image.open(tmp_path / f"mask{suffix}"))

    assert stored.dtype == dtype
    assert np.array_equal(stored, labels[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("depth", [2, 3, 4, 9])
def test_labels_of_a_stack_are_written(tmp_path, dtype, depth):
    labels = grey(dtype, (depth, 6, 7)) % 251
    write_segmentation(Segmentation(labels, picture(labels)), tmp_path / "mask.tif")

    with tifffile.TiffFile(tmp_path / "mask.tif") as tiff:
        assert len(tiff.pages) == depth
        assert tiff.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert np.array_equal(tiff.asarray(), labels)
    assert np.array_equal(read_label_map(tmp_path / "mask.tif").labels, labels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_are_written(tmp_path, suffix):
    array = colour()[None]
    write_volume(Volume(array, picture(array)), tmp_path / f"scan{suffix}")

    assert np.array_equal(read_volume(tmp_path / f"scan{suffix}").array, array)


def test_floats_go_to_tiff_and_not_to_png(tmp_path):
    volume = Volume(grey(np.float32)[None], picture(grey()[None]))
    write_volume(volume, tmp_path / "scan.tif")

    assert np.array_equal(read_volume(tmp_path / "scan.tif").array, volume.array)
    with pytest.raises(FormatError, match=r"scan\.png: PNG holds uint8 or uint16, the volume is float32"):
        write_volume(volume, tmp_path / "scan.png")


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_is_refused_as_output(tmp_path, suffix):
    labels = grey()[None]

    with pytest.raises(FormatError, match=r"JPEG loses values; write \.png or \.tif"):
        write_segmentation(Segmentation(labels, picture(labels)), tmp_path / f"mask{suffix}")


def test_a_stack_is_refused_as_png(tmp_path):
    labels = grey(shape=(5, 6, 7))

    with pytest.raises(FormatError, match=r"PNG holds one slice, the volume has 5; write \.tif"):
        write_segmentation(Segmentation(labels, picture(labels)), tmp_path / "mask.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_grid_in_the_patient_is_refused(tmp_path, suffix):
    geometry = Geometry((1, 6, 7), np.diag([0.5, 0.5, 3.0, 1.0]))

    with pytest.raises(FormatError, match=r"cannot hold the spacing and orientation of 7 x 6 x 1 voxels"):
        write_segmentation(Segmentation(grey()[None], geometry), tmp_path / f"mask{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_picture_survives_the_way_through_nifti(tmp_path):
    labels = grey(shape=(5, 6, 7))
    write_segmentation(Segmentation(labels, picture(labels)), tmp_path / "mask.nii.gz")
    read = read_label_map(tmp_path / "mask.nii.gz")

    assert np.array_equal(read.labels, labels)
    assert np.array_equal(read.geometry.affine, np.eye(4))
