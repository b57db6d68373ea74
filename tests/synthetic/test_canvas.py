import torch

from medsam2.synthetic.canvas import Canvas, Extent, Packing
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Ellipsoid, Tube
from medsam2.synthetic.slab import Structure

STRUCTURES = (Structure("outside", "air"), Structure("one", "matter"), Structure("two", "matter"))


def flat_canvas(frames=5, size=64):
    return Canvas(Extent(frames, size, 0.1), RandomSource(torch.Generator().manual_seed(0)), warp=0.0)


def test_ellipsoid_has_the_volume_of_an_ellipsoid():
    canvas = flat_canvas(frames=21)
    mask = Ellipsoid((0, 0, 0), (0.5, 0.4, 0.6)).level(canvas) < 0
    voxel = 0.1 * (2 / 64) ** 2
    assert abs(float(mask.sum()) * voxel / (4 / 3 * torch.pi * 0.5 * 0.4 * 0.6) - 1) < 0.03


def test_window_holds_the_whole_shape():
    canvas = flat_canvas()
    shape = Ellipsoid((0.1, 0.3, -0.4), (0.2, 0.2, 0.3), angle=0.7, tilt=(0.3, -0.2), boxiness=0.5)
    whole = shape.level(canvas) < 0
    windowed = torch.zeros_like(whole)
    window = shape.window(canvas)
    windowed[window] = shape.level(canvas, window) < 0
    assert torch.equal(whole, windowed)


def test_tube_is_round_and_its_wall_surrounds_its_lumen():
    canvas = flat_canvas()
    tube = Tube(((-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)), (0.3, 0.3))
    wall = canvas.new_instance(1)
    tube.paint(canvas, wall)
    lumen = canvas.new_instance(2, wall)
    tube.paint(canvas, lumen, inset=0.1)
    slab = canvas.finish(STRUCTURES, "test")
    area = (slab.labels[2] > 0).sum() * (2 / 64) ** 2
    assert abs(float(area) / (torch.pi * 0.09) - 1) < 0.05
    assert slab.instance_parents.tolist() == [0, 0, wall]


def test_packed_shapes_never_overlap_and_keep_their_gap():
    canvas = flat_canvas()
    packing = Packing(canvas, gap=0.1)
    everywhere = (slice(None), slice(None), slice(None))
    for middle in (-0.25, 0.25):
        instance = canvas.new_instance(1)
        packing.add(everywhere, Ellipsoid((0, 0, middle), (1.0, 0.4, 0.4)).level(canvas), instance)
    deep = packing.paint()
    row = canvas.instances[2, 32]
    assert row.unique_consecutive().tolist() == [0, 1, 0, 2, 0]
    assert bool((deep[canvas.instances > 0] > 0).all())
