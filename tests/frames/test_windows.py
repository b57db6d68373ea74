import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.errors import ConfigurationError, InputError
from medsam2.frames import CT_ABDOMEN, CT_LUNG, PRESETS, UINT8, IntensityWindow, choose_window, windows
from medsam2.spatial import Geometry, SourceFile, Volume
from reference.orientations import ORIENTATIONS, Stored, name_of


def volume_of(array, source=None):
    return Volume(array, Geometry(array.shape[:3], np.eye(4)), source)


def body(generator, shape=(12, 40, 40)):
    """A phantom in HU: air around soft tissue around lungs and bone."""
    hu = np.full(shape, -1000.0)
    hu[:, 8:32, 6:34] = 40
    hu[:, 12:20, 10:18] = -800
    hu[:, 26:30, 18:22] = 700
    return hu + generator.normal(0, 15, shape)


@pytest.fixture
def hounsfield():
    return body(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "lower", "upper"),
    [
        ("ct-abdomen", -160, 240),
        ("ct-lung", -1350, 150),
        ("ct-brain", 0, 80),
        ("ct-mediastinum", -125, 225),
        ("ct-bone", -500, 1300),
    ],
)
def test_presets(name, lower, upper):
    expected = IntensityWindow(name, lower, upper)
    volume = volume_of(np.zeros((1, 2, 2)))
    assert choose_window(volume, name) == expected
    assert choose_window(volume, f" {name.removeprefix('ct-').upper()} ") == expected
    assert len(PRESETS) == 5


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_ct_is_recognised(hounsfield, dtype):
    assert choose_window(volume_of(hounsfield.astype(dtype))) is CT_ABDOMEN


@pytest.mark.parametrize("padding", [-1024, -2000, -3024])
def test_ct_is_recognised_by_its_padding(hounsfield, padding):
    cropped = np.round(hounsfield[:, 8:32, 18:34]).astype(np.int16)
    assert choose_window(volume_of(cropped)).name == "percentile"
    cropped[:, :2] = padding
    assert choose_window(volume_of(cropped)) is CT_ABDOMEN


def test_nan_does_not_hide_a_ct(hounsfield):
    hounsfield[:, :4] = np.nan
    assert choose_window(volume_of(hounsfield)) is CT_ABDOMEN


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_ct_with_an_offset_gets_percentiles(hounsfield, dtype):
    stored = (hounsfield + 1024).clip(0).astype(dtype)
    assert choose_window(volume_of(stored)).name == "percentile"


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.random.default_rng(0).gamma(2, 200, (8, 20, 20)), id="MR"),
        pytest.param(np.random.default_rng(0).normal(0, 1, (8, 20, 20)), id="z-scored MR"),
        pytest.param(np.random.default_rng(0).uniform(-2048, 2047, (8, 20, 20)), id="narrow phase"),
        pytest.param(np.random.default_rng(0).uniform(-4096, 4095, (8, 20, 20)), id="phase"),
        pytest.param(np.random.default_rng(0).exponential(2, (8, 20, 20)), id="PET"),
    ],
)
def test_other_scans_get_percentiles(values):
    window = choose_window(volume_of(values))
    assert window.name == "percentile"
    assert (window.lower, window.upper) == pytest.approx(np.percentile(values, (0.5, 99.5)))


def test_rgb_is_shown_in_full_and_grey_uint8_by_percentiles():
    ramp = np.arange(1, 201, dtype=np.uint8).reshape(1, 10, 20)
    assert choose_window(volume_of(ramp)).name == "percentile"
    assert choose_window(volume_of(np.zeros((1, 4, 5, 3), np.uint8))) is UINT8
    assert choose_window(volume_of(np.zeros((1, 4, 5, 3), np.uint8))) == IntensityWindow("uint8", 0, 255)


def test_percentiles_leave_out_zeros():
    array = np.zeros((4, 20, 20), np.int16)
    array[1:3] = np.arange(800).reshape(2, 20, 20) + 100
    window = choose_window(volume_of(array), "percentile")
    assert (window.lower, window.upper) == pytest.approx((100 + 0.005 * 799, 100 + 0.995 * 799))


def test_few_voxels_that_are_not_zero_are_no_statistic():
    array = np.zeros((4, 20, 20), np.int16)
    array[0, 0, : windows.MINIMUM_NONZERO // 4] = np.arange(windows.MINIMUM_NONZERO // 4) + 1
    window = choose_window(volume_of(array), "percentile")
    assert window.lower == 0


def test_a_binary_image_keeps_its_contrast():
    array = np.zeros((4, 20, 20), np.int16)
    array[:, 5:15, 5:15] = 7
    assert choose_window(volume_of(array), "percentile") == IntensityWindow("percentile", 0, 7)


def test_percentiles_do_not_see_nan_and_infinity():
    array = np.linspace(1, 2, 1000).reshape(10, 10, 10)
    clean = choose_window(volume_of(array), "percentile")
    dirty = np.concatenate([array, np.full((3, 10, 10), np.nan), np.full((3, 10, 10), np.inf)])
    assert choose_window(volume_of(dirty), "percentile") == clean


def test_large_volumes_are_sampled(monkeypatch):
    array = np.random.default_rng(0).uniform(10, 20, (30, 40, 50))
    exact = choose_window(volume_of(array), "percentile")
    monkeypatch.setattr(windows, "SAMPLE_SIZE", 8000)
    sampled = choose_window(volume_of(array), "percentile")
    assert (sampled.lower, sampled.upper) == pytest.approx(np.percentile(array[::2, ::2, ::2], (0.5, 99.5)))
    assert (sampled.lower, sampled.upper) == pytest.approx((exact.lower, exact.upper), abs=0.05)
    assert sampled == choose_window(volume_of(array), "percentile")


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=name_of)
def test_a_sample_does_not_depend_on_how_the_file_stores_its_axes(monkeypatch, orientation):
    monkeypatch.setattr(windows, "SAMPLE_SIZE", 1000)
    # Of even lengths, so that from the other end other voxels would be met.
    patient = np.random.default_rng(0).uniform(10, 20, (20, 16, 18))
    stored = Stored((18, 16, 20), (1.0, 1.1, 1.2), orientation)
    assert choose_window(Volume(stored.array(patient), stored.geometry)) == choose_window(volume_of(patient))


def test_full_is_the_range_of_every_voxel(monkeypatch):
    monkeypatch.setattr(windows, "SAMPLE_SIZE", 10)
    array = np.zeros((5, 6, 7))
    array[1, 1, 1], array[3, 3, 3], array[2, 2, 2], array[4] = -8, 31, np.inf, np.nan
    assert choose_window(volume_of(array), "full") == IntensityWindow("full", -8, 31)


@pytest.mark.parametrize("setting", ["percentile", "full", "auto"])
@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_a_constant_volume(setting, value):
    window = choose_window(volume_of(np.full((3, 5, 6), value)), setting)
    assert (window.lower, window.upper) == (value - 0.5, value + 0.5)


def test_a_constant_beyond_what_a_float_can_split():
    window = choose_window(volume_of(np.full((3, 5, 6), 1e20)), "full")
    assert window.lower < 1e20 < window.upper


@pytest.mark.parametrize("setting", ["percentile", "full", "auto"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_finite(setting, value):
    with pytest.raises(InputError, match=r"no value of the volume is finite \(all NaN or infinite\); check the"):
        choose_window(volume_of(np.full((3, 5, 6), value)), setting)
    source = SourceFile(Path("scan.nii"), "nifti")
    with pytest.raises(InputError, match=r"no value of the volume in scan.nii is finite"):
        choose_window(volume_of(np.full((3, 5, 6), value), source), setting)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("400,40", IntensityWindow("W 400 L 40", -160, 240)),
        (" 1500 , -600 ", IntensityWindow("W 1500 L -600", -1350, 150)),
        ("0.5,0.25", IntensityWindow("W 0.5 L 0.25", 0, 0.5)),
        ((-100, 250.5), IntensityWindow("-100 to 250.5", -100, 250.5)),
        (CT_LUNG, CT_LUNG),
    ],
)
def test_windows_in_numbers(setting, expected):
    assert choose_window(volume_of(np.zeros((1, 2, 2))), setting) == expected


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("abdomn", 'there is no window "abdomn"; known are auto, percentile, full, ct-abdomen, ct-lung, ct-brain,'),
        ("abdomn", 'ct-mediastinum, ct-bone, and "width,level". Did you mean "abdomen"?'),
        ("ct-lungs", 'Did you mean "ct-lung"?'),
        ("percent", 'Did you mean "percentile"?'),
        ("qqqq", 'there is no window "qqqq"; known are auto, percentile'),
        ("400,forty", 'window "400,forty" is not two numbers; expected width and level, e.g. "400,40".'),
        ("400,40,4", 'window "400,40,4" is not two numbers'),
        ("0,40", 'window "0,40" has the width 0; expected more than 0, as in "400,40".'),
        ("-400,40", 'window "-400,40" has the width -400; expected more than 0'),
        ("nan,40", 'window "nan,40" has the width nan; expected more than 0'),
        ("400,inf", "the window 'W 400 L inf' runs from inf to inf; expected two finite numbers, the lower one first."),
        ((5, 5), "the window '5 to 5' runs from 5 to 5; expected two finite numbers, the lower one first."),
        ((5, 2), "the window '5 to 2' runs from 5 to 2"),
    ],
)
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        choose_window(volume_of(np.zeros((1, 2, 2))), setting)


def test_apply():
    values = np.array([-2000, -160, 40, 240, 9000], np.int16)
    grey = CT_ABDOMEN.apply(values)
    assert grey.dtype == np.float32
    assert grey.tolist() == [0, 0, 0.5, 1, 1]


def test_apply_makes_what_is_not_finite_black():
    values = np.array([np.nan, np.inf, -np.inf, 10.0])
    assert IntensityWindow("w", 0, 10).apply(values).tolist() == [0, 0, 0, 1]
    assert np.isnan(values[0])


numbers = st.sampled_from([np.uint8, np.int16, np.uint32, np.int64, np.float16, np.float32, np.float64])


@given(numbers.flatmap(lambda dtype: arrays(dtype, (3, 4))), st.floats(-1e4, 1e4), st.floats(1e-3, 1e6))
@settings(deadline=None)
def test_apply_stays_in_range_and_leaves_the_values_alone(values, lower, width):
    before = values.copy()
    grey = IntensityWindow("w", lower, lower + width).apply(values)
    assert grey.dtype == np.float32
    assert grey.min() >= 0
    assert grey.max() <= 1
    np.testing.assert_array_equal(values, before)
    finite = values.ravel()[np.isfinite(values.ravel())]
    order = np.argsort(finite, kind="stable")
    assert (np.diff(grey.ravel()[np.isfinite(values.ravel())][order]) >= 0).all()
