"""The images of a set: files of a folder, a list of files, pages of a TIFF; found now, read when asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medsam2.errors import FormatError
from medsam2.io import images
from medsam2.io.formats import read_volume
from medsam2.io.kinds import SUFFIXES, FileKind, kind_of_name
from medsam2.io.libraries import format_errors
from medsam2.spatial import Volume

VIDEO_SUFFIXES = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".ogv", ".gif")

LABEL_MAP_SUFFIXES = {
    FileKind.NIFTI: ".nii.gz",
    FileKind.NIFTI_GZ: ".nii.gz",
    FileKind.NRRD: ".nrrd",
    FileKind.METAIMAGE: ".mha",
    FileKind.DICOM: ".nii.gz",
}
"""Formats with a geometry, which only their own family keeps to the bit; the label map of any other image is PNG."""


@dataclass(frozen=True)
class ImageFile:
    """One image of a set, read when asked for.

    Attributes:
        path: The file.
        page: Its page, from 0, in a TIFF of several; else None.
        page_count: Pages of the file.

    Example:
        >>> ImageFile(Path("set/cells.tif"), page=3, page_count=120).label_map_name
        'cells-003.png'
    """

    path: Path
    page: int | None = None
    page_count: int = 1

    @property
    def name(self) -> str:
        """The file's name without its folder, and the page after a colon: "a.png", "cells.tif:3"."""
        return self.path.name if self.page is None else f"{self.path.name}:{self.page}"

    @property
    def label_map_name(self) -> str:
        """Name of the file for its label map: that of the image, with a suffix that keeps the geometry."""
        suffix = next(suffix for suffix in SUFFIXES if self.path.name.lower().endswith(suffix))
        stem = self.path.name[: -len(suffix)]
        if self.page is not None:
            stem += f"-{self.page:0{len(str(self.page_count - 1))}d}"
        return stem + LABEL_MAP_SUFFIXES.get(SUFFIXES[suffix], ".png")

    def read(self) -> Volume:
        """Read the image.

        Raises:
            FormatError: It cannot be read as what its suffix says.
            GeometryError: Its affine is singular or not finite.
        """
        return read_volume(self.path) if self.page is None else images.read_page(self.path, self.page)


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[ImageFile]:
    """Find the images of a set; what they hold is not looked at, but for the number of a TIFF's pages.

    Of a folder, the files named as images are taken, without those in its subfolders and hidden ones. A file that is
    found twice is one image.

    Args:
        paths: Folders and files.

    Returns:
        The images, sorted by name and page.

    Raises:
        FormatError: A file is missing, is a video or is not named as an image, or a folder has no image.
    """
    files = {file.resolve(): file for path in map(Path, paths) for file in _files(path)}
    found = [image for file in files.values() for image in _pages(file)]
    return sorted(found, key=lambda image: (image.path.name, str(image.path), image.page or 0))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return _files_of_folder(path)
    if not path.exists():
        raise FormatError(f"{path} does not exist; expected an image or a folder of images.")
    _refuse_video(path)
    kind_of_name(path)
    return [path]


def _files_of_folder(folder: Path) -> list[Path]:
    with format_errors(folder, "read"):
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    named = [file for file in files if file.name.lower().endswith(tuple(SUFFIXES))]
    if not named:
        for file in files:
            _refuse_video(file)
        raise FormatError(f"{folder} holds no image; expected files that end in {', '.join(SUFFIXES)}.")
    return named


def _refuse_video(path: Path) -> None:
    if path.name.lower().endswith(VIDEO_SUFFIXES):
        raise FormatError(
            f"{path} is a video; expected images. Make a folder of frames and give that, for example with: "
            f"mkdir frames && ffmpeg -i {path.name} frames/%05d.png"
        )


def _pages(path: Path) -> Iterator[ImageFile]:
    try:
        count = images.page_count(path)
    except FormatError:
        count = 1  # reading it will tell what is wrong
    if count == 1:
        yield ImageFile(path)
    else:
        yield from (ImageFile(path, page, count) for page in range(count))
