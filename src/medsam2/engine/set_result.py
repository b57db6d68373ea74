"""What is asked of a set of images, and what comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medsam2.errors import ConfigurationError
from medsam2.frames import IntensityWindow, WindowSetting
from medsam2.memory import MemoryOptions, new_banks
from medsam2.network.config import check_size
from medsam2.spatial import Segmentation, Volume


@dataclass(frozen=True)
class SetSettings:
    """How a set is segmented; the names are those of the command's flags and of the report.

    Attributes:
        memory: memory policy; "fifo" remembers the images that were visited last.
        memory_options: what differs from the policy's defaults; see `MemoryOptions`.
        memory_seed: memories are drawn at random from this seed; None: nothing is random.
        window: intensities shown, chosen for each image by itself, see `medsam2.frames.choose_window`.
        size: side of the network's input in pixels; None: what the network was trained at.
        instances: the connected parts of an image's objects get labels of their own, 1..n, object by object.
        least_confidence: where the network is less sure of a mask, [0, 1], it is left out, unless it was prompted; that
            a mask is shown where the object is not weighs more than a poor one that is lost (docs/oneprompt.md).
    """

    memory: str = "self-sorting"
    memory_options: MemoryOptions = field(default_factory=MemoryOptions)
    memory_seed: int | None = None
    window: WindowSetting = "auto"
    size: int | None = None
    instances: bool = False
    least_confidence: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.least_confidence <= 1:
            raise ConfigurationError(f"least_confidence is {self.least_confidence}; expected a number from 0 to 1")
        if self.size is not None:
            check_size(self.size)
        new_banks(1, self.memory, self.memory_options)


@dataclass(frozen=True)
class ImageObject:
    """What was found of one object on one image.

    Attributes:
        name: of the object.
        label: of the object.
        confidence: estimated intersection over union, [0, 1]; 0 where nothing was found.
        object_score: logit; positive where the network sees the object.
        area_px: pixels in the label map.
        instances: connected parts in the label map; None if they were not told apart.
        in_memory: the image was taken into the object's memory when it was visited, and informed later ones.
        prompted: the image was prompted for this object.
    """

    name: str
    label: int
    confidence: float
    object_score: float
    area_px: int
    instances: int | None
    in_memory: bool
    prompted: bool


@dataclass(frozen=True, eq=False)
class ImageMask:
    """What was found on one image, as it is streamed.

    Attributes:
        name: of the image.
        position: of the image in the set as it was given.
        objects: in the order of the prompts; empty where the image could not be used.
        failure: why the image could not be used; None where it could.
        window: the intensities that were shown to the network.
        segmentation: the label map in the image's geometry; None where the image could not be used, and in
            `SetRun.result`, which keeps no pixels.
        volume: the image itself; None where the segmentation is, and in `Segmenter.segment_set`.
    """

    name: str
    position: int
    objects: tuple[ImageObject, ...] = ()
    failure: str | None = None
    window: IntensityWindow | None = None
    segmentation: Segmentation | None = None
    volume: Volume | None = None


@dataclass(frozen=True, eq=False)
class SetResult:
    """A finished run.

    Attributes:
        images: what was found on each, in the order in which they were given.
        templates: names of the prompted images.
        names: of the objects, by label.
        settings: what was asked for.
        warnings: sentences for the user: objects of which nothing was found.
        seconds: for all.
    """

    images: tuple[ImageMask, ...]
    templates: tuple[str, ...]
    names: Mapping[int, str]
    settings: SetSettings
    warnings: tuple[str, ...]
    seconds: float

    @property
    def failures(self) -> tuple[ImageMask, ...]:
        """The images that could not be used."""
        return tuple(image for image in self.images if image.failure is not None)


def set_warnings(images: Sequence[ImageMask], names: Mapping[int, str]) -> tuple[str, ...]:
    """Sentences for the user: objects of which nothing was found.

    Args:
        images: what was found.
        names: of the objects, by label.
    """
    warnings = []
    for label, name in names.items():
        looks = [one for image in images for one in image.objects if one.label == label]
        others = [one for one in looks if not one.prompted]
        if looks and not any(one.area_px for one in looks):
            warnings.append(
                f"{name} (label {label}): nothing was found, not even on the template; "
                "check the prompt's place, or prompt with a box or a mask"
            )
        elif others and not any(one.area_px for one in others):
            warnings.append(f"{name} (label {label}): found on no image but the template")
    return tuple(warnings)
