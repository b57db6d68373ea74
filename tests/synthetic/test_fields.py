import pytest
import torch

from medsam2.synthetic.fields import octave_field, smooth_field, spline_matrix
from medsam2.synthetic.random_source import RandomSource


@pytest.mark.parametrize("cells", [0.0, 0.4, 3.0, 11.7])
@pytest.mark.parametrize("phase", [0.0, 0.5, 0.99])
def test_spline_weights_sum_to_one(cells, phase):
    matrix = spline_matrix(17, cells, phase, torch.device("cpu"))
    torch.testing.assert_close(matrix.sum(1), torch.ones(17))


def test_fields_have_unit_deviation_and_are_smooth():
    source = RandomSource(torch.Generator().manual_seed(0))
    fields = smooth_field(source, (8, 64, 64), (4.0, 6.0, 6.0), 40)
    assert fields.shape == (40, 8, 64, 64)
    assert abs(float(fields.std()) - 1) < 0.15
    assert float((fields[..., 1:] - fields[..., :-1]).abs().mean()) < 0.15


def test_octaves_are_rougher():
    source = RandomSource(torch.Generator().manual_seed(0))
    rough = octave_field(source, (4, 64, 64), (1.0, 4.0, 4.0))
    smooth = smooth_field(source, (4, 64, 64), (1.0, 4.0, 4.0))[0]
    steps = [float((field[..., 1:] - field[..., :-1]).abs().mean() / field.std()) for field in (rough, smooth)]
    assert steps[0] > steps[1]
