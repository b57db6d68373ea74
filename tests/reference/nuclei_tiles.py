"""A set of pictures of one kind: the fluorescent nuclei of the shipped example, cut into tiles."""

from medsam2.evaluation.picture_sets import nuclei_tiles


def cut_into_tiles(side, first=None):
    """Square tiles of the example "nuclei2d", row by row, and the masks (1, side, side) of all their nuclei.

    Args:
        side: of a tile, pixels.
        first: so many tiles; None: all.

    Returns:
        (images, masks): a list of `NamedVolume` called "tile_RC", and a dict of bool arrays by these names.
    """
    tiles = nuclei_tiles(side)
    images = list(tiles.images[:first])
    return images, {image.name: tiles.truths[image.name] for image in images}
