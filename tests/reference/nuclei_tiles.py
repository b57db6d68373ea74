"""A set of pictures of one kind: the fluorescent nuclei of the shipped example, cut into tiles."""

from medsam2.examples import example_case
from medsam2.frames import NamedVolume
from medsam2.io import read_label_map, read_volume
from medsam2.spatial import Geometry, Volume


def cut_into_tiles(side, first=None):
    """Square tiles of the example "nuclei2d", row by row, and the masks (1, side, side) of all their nuclei.

    Args:
        side: of a tile, pixels.
        first: so many tiles; None: all.

    Returns:
        (images, masks): a list of `NamedVolume` called "tile_RC", and a dict of bool arrays by these names.
    """
    case = example_case("nuclei2d")
    picture, nuclei = read_volume(case.image).array[0], read_label_map(case.labels).labels[0] > 0
    rows, columns = (length // side for length in picture.shape)
    places = [(row, column) for row in range(rows) for column in range(columns)][:first]
    images, masks = [], {}
    for row, column in places:
        here = (slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side))
        tile = picture[here][None].copy()
        images.append(NamedVolume(f"tile_{row}{column}", Volume(tile, Geometry(tile.shape, _identity()))))
        masks[images[-1].name] = nuclei[here][None].copy()
    return images, masks


def _identity():
    return [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]
