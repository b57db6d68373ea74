"""The output folder of `medsam2 oneprompt`: filled image by image, and read again where a run goes on."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, overload

import numpy as np

from medsam2 import __version__
from medsam2.cli.file_clashes import NamedFile
from medsam2.engine.set_log import SetLog
from medsam2.engine.set_result import ImageMask, SetResult
from medsam2.errors import FormatError
from medsam2.frames import image_view
from medsam2.io import CocoImage, ImageFile, read_label_map, write_coco, write_segmentation
from medsam2.io.segments import Algorithm
from medsam2.prompts import ObjectPrompts, PromptSet, prompts_to_json
from medsam2.spatial import Geometry, Segmentation

REPORT, TABLE, SHEET, COCO, LOG = "report.json", "images.csv", "contact_sheet.png", "coco.json", "images.part.jsonl"
RESULTS = (COCO, SHEET, TABLE, REPORT)
"""What tells of all images, in the order in which it is taken away."""
OF_A_REPORT = {"report_version", "medsam2_version", "templates", "images"}
"""By which a report is known as one of a set."""


class SetFormat(StrEnum):
    """What a set is written as; the names are those of the command's flag."""

    MAPS = "maps"
    COCO = "coco"


class SetFolder:
    """Label maps of a set, one file an image.

    Args:
        path: of the folder; made with the first file.
        images: of the set.
        label_maps: file names, by the image's name.

    Raises:
        FormatError: the path is that of a file.
    """

    def __init__(self, path: Path, images: Sequence[ImageFile], label_maps: Mapping[str, str]) -> None:
        if path.exists() and not path.is_dir():
            raise FormatError(f"{path} is a file; expected a folder for the label maps, or a name that is not taken")
        self.path, self.label_maps = path, label_maps
        self._images = {image.name: image for image in images}

    @property
    def files(self) -> list[NamedFile]:
        """All files that a run may write here, or take away."""
        label_maps = [(f"label map of {image}", name) for image, name in self.label_maps.items()]
        others = [(name, name) for name in (*RESULTS, LOG)]
        return [(role, self.path / name) for role, name in label_maps + others]

    def refuse_strangers(self) -> None:
        """Refuse a folder in which a file of somebody else's would be written over, or taken away.

        Raises:
            FormatError: there is such a file, or it cannot be told.
        """
        taken = next((path for _, path in self.files if os.path.lexists(path)), None)
        if taken is not None and not self._is_of_a_run():
            raise FormatError(
                f"{taken} is there already, and no run of medsam2 oneprompt has left it; choose another folder, "
                "or move the file away"
            )

    def log(self, header: Mapping[str, Any]) -> SetLog:
        """What a run that was broken off found here.

        Raises:
            FormatError: it cannot be read.
        """
        log = SetLog(self.path / LOG, header)
        log.keep_if(lambda name: (self.path / self.label_maps[name]).is_file())
        return log

    def clear_results(self) -> None:
        """Take away what an older run told of all images: it is not true of the label maps that are to be written.

        Raises:
            FormatError: it cannot be taken away.
        """
        for name in RESULTS:
            self._remove(self.path / name)

    def write(self, mask: ImageMask) -> None:
        """Write an image's label map; of one that could not be used, there is none afterwards.

        Raises:
            FormatError: it cannot be written.
        """
        path = self.path / self.label_maps[mask.name]
        if mask.failure is not None:
            self._remove(path)
        elif mask.segmentation is not None:
            write_segmentation(mask.segmentation, path)

    def with_pixels(self, mask: ImageMask) -> ImageMask:
        """The same with the image and its label map, read again where they are missing.

        Raises:
            FormatError: one of them cannot be read.
        """
        if mask.failure is not None or mask.segmentation is not None:
            return mask
        volume = self._images[mask.name].read()
        labels = read_label_map(self.path / self.label_maps[mask.name]).labels
        whole = Segmentation(labels, volume.geometry, names_in_map(mask), volume.source)
        return replace(mask, volume=volume, segmentation=whole)

    def write_coco(self, result: SetResult, model: str) -> None:
        """Write the objects of all label maps into one file, with one label map at a time in memory.

        Raises:
            FormatError: a label map cannot be read again, or the file not be written.
        """
        usable = [image for image in result.images if image.failure is None]
        write_coco(_Pictures(self, usable), self.path / COCO, Algorithm(model))

    def _is_of_a_run(self) -> bool:
        """Whether an earlier run was done here, or broke off: it left a report, or its log."""
        if (self.path / LOG).is_file():
            return True
        try:
            report = json.loads((self.path / REPORT).read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(report, dict) and report.keys() >= OF_A_REPORT

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FormatError(f"{path}: cannot be removed ({error.strerror})") from error


class _Pictures(Sequence[CocoImage]):
    """The pictures of a set as COCO takes them, each read when it is asked for."""

    def __init__(self, folder: SetFolder, masks: Sequence[ImageMask]) -> None:
        self._folder, self._masks = folder, masks

    def __len__(self) -> int:
        return len(self._masks)

    @overload
    def __getitem__(self, index: int) -> CocoImage: ...

    @overload
    def __getitem__(self, index: slice) -> "_Pictures": ...

    def __getitem__(self, index: int | slice) -> "CocoImage | _Pictures":
        if isinstance(index, slice):
            return _Pictures(self._folder, self._masks[index])
        mask = self._masks[index]
        found = read_label_map(self._folder.path / self._folder.label_maps[mask.name])
        # As it is shown: a slice may lie along any axis of its file.
        view = image_view(found.geometry, mask.name)
        labels = np.empty((1, *view.frame_shape), found.labels.dtype)
        labels[:] = view.to_frames(found.labels)
        return CocoImage(mask.name, Segmentation(labels, Geometry(labels.shape, np.eye(4)), names_in_map(mask)))


def names_in_map(mask: ImageMask) -> dict[int, str]:
    """The object that each label of an image's label map stands for; instances have labels of their own."""
    if any(one.instances is None for one in mask.objects):
        return {one.label: one.name for one in mask.objects}
    owners = [one.name for one in mask.objects for _ in range(one.instances or 0)]
    return dict(enumerate(owners, start=1))


def run_identity(
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    templates: Mapping[str, PromptSet],
    images: Iterable[ImageFile],
) -> dict[str, Any]:
    """What the label maps of a set depend on: equal identities give equal files, in whatever order the images come.

    The version belongs to it: another one may segment, or note what it found, in another way.

    Args:
        model: what is known of the weights.
        settings: how the set is segmented, as JSON takes it.
        templates: what is prompted, by the image's name.
        images: of the set, each file of which is read.
    """
    files: dict[Path, str] = {}
    for image in images:
        if image.path not in files:
            files[image.path] = _file_sha256(image.path)
    return {
        "medsam2_version": __version__,
        "model": {**model},
        "settings": {**settings},
        "prompts": {name: prompts_to_json(one, _mask_sha256) for name, one in sorted(templates.items())},
        "images": sorted([image.name, files[image.path]] for image in images),
    }


def _file_sha256(path: Path) -> str:
    """Of a file's bytes; one that cannot be read is so for everybody who tries."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _mask_sha256(prompts: ObjectPrompts, number: int) -> str:
    array = np.ascontiguousarray(prompts.masks[number].voxels)
    return hashlib.sha256(f"{array.shape}".encode() + array.tobytes()).hexdigest()
