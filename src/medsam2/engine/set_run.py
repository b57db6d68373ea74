"""One-prompt segmentation: what is prompted on one image of a set is found on all the others, whatever their order.

MedSAM-2 (arXiv 2408.00874) takes an unordered set of images as a video without time.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from medsam2.engine.focus import Answer, whole_prompt, whole_side
from medsam2.engine.instances import separate_instances
from medsam2.engine.labels import LabelAssembly
from medsam2.engine.set_log import SetLog
from medsam2.engine.set_result import ImageMask, ImageObject, SetResult, SetSettings, set_warnings
from medsam2.engine.track import Moment, Track, advance
from medsam2.engine.volume_result import Progress
from medsam2.errors import FormatError, InputError, PromptError
from medsam2.frames import FrameStack, ImageSet, Region, SetImage
from medsam2.memory import FrozenBank, MemoryBank, MemoryQuery, new_banks
from medsam2.network import ImageFeatures, Sam2Network
from medsam2.prompts import PromptSet, SlicePrompt
from medsam2.spatial import Segmentation


@dataclass(frozen=True, eq=False)
class _Template:
    """A prompted image.

    Attributes:
        position: in the set.
        visit: its number as a frame of the pseudo-video.
        prompts: by object (index of its track).
        answers: what they mean, for a network that answers them from near; else, and where a mask was drawn, none.
    """

    position: int
    visit: int
    prompts: Mapping[int, SlicePrompt]
    answers: Mapping[int, Answer]


@dataclass(frozen=True, eq=False)
class _Look:
    """What the network says of one object on one image; `logits` (4h, 4w) float32 show the region, or all of it."""

    logits: Tensor
    confidence: float
    object_score: float
    in_memory: bool
    region: Region | None = None


class SetRun:
    """Segments a set of images once, in two passes.

    The first pass segments each image from the templates' memory alone and keeps a few numbers of it. The second visits
    the images anew, those first of which the network was surest, and remembers on the way. An image's turn thus follows
    from its pixels (of exact equals, from its name), never from the order in which the images were given: shuffling
    them changes nothing. Each image is read twice and not kept, so the memory needed does not grow with the set.

    Args:
        network: in evaluation mode.
        images: the set, with the templates.
        templates: what is prompted, by the name of the image; an object may be prompted on several.
        settings: how.
        log: of an earlier run of the same that was broken off: what it holds is not looked at again, but for what the
            memory is to know. First looks are added to it; images that are done are for who writes them to add.

    Raises:
        PromptError: the prompts do not fit a template, or contradict each other.
        InputError: a template is not in the set, or two images share a name.
        FormatError: a template cannot be read.
        ConfigurationError: a setting does not fit.
    """

    def __init__(
        self,
        network: Sam2Network,
        images: Sequence[SetImage],
        templates: Mapping[str, PromptSet],
        settings: SetSettings,
        log: SetLog | None = None,
    ) -> None:
        self.network, self.settings, self._log = network, settings, log
        self._near_side = settings.size or network.config.size
        self.images = ImageSet(images, settings.window, whole_side(network, self._near_side))
        self.names = joined_names(templates)
        banks = new_banks(
            len(self.names), settings.memory, settings.memory_options, settings.memory_seed, ordered=False
        )
        self._tracks = [Track(bank) for bank in banks]
        # By name, as the order in which they were given must tell nothing.
        self._templates = [self._template(n, name, templates[name]) for n, name in enumerate(sorted(templates))]
        self._prompts = {template.position: template.prompts for template in self._templates}
        self._done: dict[int, ImageMask] = {}
        self._seconds = 0.0

    @property
    def templates(self) -> tuple[str, ...]:
        """Names of the prompted images."""
        return tuple(self._name(template.position) for template in self._templates)

    def prompts_on(self, position: int) -> tuple[SlicePrompt, ...]:
        """What was prompted on an image, to be shown; empty where nothing was."""
        return tuple(self._prompts.get(position, {}).values())

    def stream(self, progress: Progress | None = None) -> Iterator[ImageMask]:
        """Segment, and hand out each image once it is done: templates first, then by falling confidence.

        An image that cannot be used is handed out with its failure, and the others go on; one that the log tells of may
        come without pixels. Closing the iterator cancels the rest.

        Args:
            progress: told (images read, images to read in both passes); what it raises ends the run.
        """
        expected = len(self._templates) + 2 * len(self._open())
        began = time.perf_counter()
        for read, mask in enumerate(self._visits(), start=1):
            self._seconds += time.perf_counter() - began
            if mask is not None:
                self._done[mask.position] = replace(mask, segmentation=None, volume=None)
                yield mask
            if progress:
                progress(read, expected)
            began = time.perf_counter()
        if progress:
            progress(expected, expected)

    def result(self) -> SetResult:
        """What there is to say of all images that were handed out, without their pixels."""
        images = tuple(self._done[position] for position in sorted(self._done))
        return SetResult(
            images, self.templates, self.names, self.settings, set_warnings(images, self.names), self._seconds
        )

    def _template(self, visit: int, name: str, prompts: PromptSet) -> _Template:
        """Lay the prompts of a template into the network's square, and give them to their tracks."""
        position = self.images.position(name)
        stack = self.images.stack(position)
        labels, laid = list(self.names), {}
        answers: dict[int, Answer] = {}
        for one in prompts.resolve(stack.plane_view.geometry, stack.plane_view.plane):
            row = labels.index(one.label)
            laid[row] = one.slices[0]
            given, near = whole_prompt(self.network, stack, self._near_side, 0, laid[row])
            self._tracks[row].prompts[visit] = given
            answers |= {row: near} if near else {}
        return _Template(position, visit, MappingProxyType(laid), MappingProxyType(answers))

    def _open(self) -> list[int]:
        """Positions of the images on which an object is to be found that was not prompted there."""
        return [t for t in range(len(self.images)) if len(self._prompts.get(t, ())) < len(self._tracks)]

    def _visits(self) -> Iterator[ImageMask | None]:
        """Read one image after the other, in both passes; None where it will be read again."""
        known: dict[int, dict[int, _Look]] = {}
        open_images = self._open()
        for template in self._templates:
            stack = self.images.stack(template.position)
            known[template.position] = self._look_at_template(stack, template)
            done = template.position not in open_images
            yield self._mask(template.position, stack, known[template.position]) if done else None
        turns: dict[int, tuple[float, float, str]] = {}
        for position in open_images:
            yield self._first_look(position, turns)
        for visit, position in enumerate(sorted(turns, key=turns.__getitem__), start=len(self._templates)):
            if (before := self._done_before(position)) is not None:
                yield before
                continue
            try:
                stack = self.images.stack(position)
            except (FormatError, InputError) as error:
                yield self._failed(position, error)
                continue
            found = self._look(stack, self._not_prompted(position), self._tracks, visit)
            yield self._mask(position, stack, known.get(position, {}) | found)

    def _first_look(self, position: int, turns: dict[int, tuple[float, float, str]]) -> ImageMask | None:
        """Segment an image from the templates alone and note what its turn depends on, the surest first."""
        known = self._log and self._log.turn(self._name(position))
        if known:
            turns[position] = (-known[0], -known[1], self._name(position))
            return None
        try:
            stack = self.images.stack(position)
        except (FormatError, InputError) as error:
            return self._failed(position, error)
        tracks = [Track(FrozenBank(track.bank)) for track in self._tracks]
        # As if each image were the one right after the templates.
        looks = self._look(stack, self._not_prompted(position), tracks, len(self._templates)).values()
        confidence = float(np.mean([look.confidence for look in looks]))
        score = float(np.mean([look.object_score for look in looks]))
        turns[position] = (-confidence, -score, self._name(position))
        if self._log:
            self._log.add_turn(self._name(position), (confidence, score))
        return None

    def _done_before(self, position: int) -> ImageMask | None:
        """What an earlier run found on an image, if the memory need not be told of it once more."""
        done = self._log and self._log.done(self._name(position), position)
        if not done or any(one.in_memory for one in done.objects) or not tells_what_is_remembered(self.settings):
            return None
        return done

    def _not_prompted(self, position: int) -> list[int]:
        return [row for row in range(len(self._tracks)) if row not in self._prompts.get(position, ())]

    def _look_at_template(self, stack: FrameStack, template: _Template) -> dict[int, _Look]:
        """Remember what was prompted, as it is on the whole image; what was answered from near is shown as such."""
        looks = self._look(stack, sorted(template.prompts), self._tracks, template.visit, prompted=True)
        near = {
            row: _Look(one.logits, one.confidence, one.object_score, looks[row].in_memory, one.region)
            for row, one in template.answers.items()
        }
        return looks | near

    def _look(
        self, stack: FrameStack, rows: list[int], tracks: Sequence[Track], visit: int, prompted: bool = False
    ) -> dict[int, _Look]:
        """Take some of the tracks to an image. The user is believed that an object is where it is prompted."""
        moment, chosen = Moment(visit, 1, len(self.images)), [tracks[row] for row in rows]
        present = torch.ones(len(rows), dtype=torch.bool, device=self.network.device) if prompted else None
        looks = {}
        with torch.inference_mode():
            features = self.network.encode_image(stack.frame(0)[None].to(self.network.device))
            for one in advance(self.network, features, chosen, moment, present):
                for place, index in enumerate(one.rows):
                    looks[rows[index]] = _Look(
                        logits=one.prediction.logits[place].float().cpu(),
                        confidence=float(one.prediction.iou[place]) if one.prediction.present[place] else 0.0,
                        object_score=float(one.prediction.object_score[place]),
                        in_memory=_is_remembered(chosen[index].bank, features, moment),
                    )
        return looks

    def _mask(self, position: int, stack: FrameStack, looks: Mapping[int, _Look]) -> ImageMask:
        """Lay the objects of an image into one label map."""
        assembly = LabelAssembly(stack.volume.geometry, max(self.names))
        prompts = self._prompts.get(position, {})
        objects = []
        for row, (label, name) in enumerate(self.names.items()):
            look, prompt = looks[row], prompts.get(row)
            sure = prompt is not None or look.confidence >= self.settings.least_confidence
            any_mask = sure and _write(assembly, stack, label, look, prompt)
            confidence = look.confidence if any_mask else 0.0
            objects.append(
                ImageObject(name, label, confidence, look.object_score, 0, None, look.in_memory, prompt is not None)
            )
        # Measured when all are written: where objects overlap, one takes pixels from the other.
        areas = [int(np.count_nonzero(assembly.labels == label)) for label in self.names]
        counted = tuple(replace(one, area_px=area) for one, area in zip(objects, areas, strict=True))
        source = stack.volume.source
        whole = Segmentation(assembly.labels, stack.volume.geometry, self.names, source)
        mask = ImageMask(self._name(position), position, counted, None, stack.window, whole, stack.volume)
        return _with_instances(mask, whole) if self.settings.instances else mask

    def _failed(self, position: int, error: Exception) -> ImageMask:
        return ImageMask(self._name(position), position, failure=str(error))

    def _name(self, position: int) -> str:
        return self.images.images[position].name


def tells_what_is_remembered(settings: SetSettings) -> bool:
    """Whether every image that changes the memory is said to be in it.

    Not so where draws are counted, or decide: an image that is kept may then not be attended to.
    """
    few = settings.memory == "released" or settings.memory_options.draws is not None
    return settings.memory_seed is None and not few


def pair_templates(template: str | Sequence[str], prompts: PromptSet | Sequence[PromptSet]) -> dict[str, PromptSet]:
    """Give the prompts by template.

    Args:
        template: name of the prompted image, or names of several.
        prompts: of the template, or one set for each of several.

    Raises:
        PromptError: there are not as many sets as templates, or a template comes twice.
    """
    names = [template] if isinstance(template, str) else list(template)
    sets = [prompts] if isinstance(prompts, PromptSet) else list(prompts)
    if len(names) != len(sets) or len(set(names)) != len(names):
        raise PromptError(
            f"there are {len(set(names))} templates and {len(sets)} sets of prompts; expected one set for each."
        )
    return dict(zip(names, sets, strict=True))


def joined_names(templates: Mapping[str, PromptSet]) -> dict[int, str]:
    """The name of each label over all templates; a label or name that is on several is one object.

    Raises:
        PromptError: nothing is prompted, or the templates contradict each other.
    """
    if not templates:
        raise PromptError("no image of the set is prompted; prompt the object on one of them, the template.")
    labels: dict[str, int] = {}
    for image in sorted(templates):
        for label, name in templates[image].names.items():
            if labels.setdefault(name, label) != label or list(labels.values()).count(label) > 1:
                raise PromptError(
                    f"{image}: object {name!r} has the label {label}, which another template gives differently; "
                    "an object has the same name and the same label on all its templates."
                )
    return {label: name for name, label in labels.items()}


def _write(assembly: LabelAssembly, stack: FrameStack, label: int, look: _Look, prompt: SlicePrompt | None) -> bool:
    """Put an object into an image's label map. A drawn mask stands as it was drawn, to the pixel."""
    if prompt is not None and prompt.mask is not None:
        assembly.write_drawn(stack.plane_view, 0, label, prompt.mask)
        return True
    logits = stack.through(look.region).logits_to_frame(look.logits).numpy()
    assembly.write(stack.plane_view, 0, label, logits, prompt is not None)
    return bool((logits > 0).any())


def _with_instances(mask: ImageMask, whole: Segmentation) -> ImageMask:
    """The same with a label for each connected part, named after its object."""
    labels, counts = separate_instances(whole.labels, [one.label for one in mask.objects])
    counted = tuple(replace(one, instances=count) for one, count in zip(mask.objects, counts, strict=True))
    owners = [one.name for one in counted for _ in range(one.instances or 0)]
    names = dict(enumerate(owners, start=1))
    return replace(mask, objects=counted, segmentation=Segmentation(labels, whole.geometry, names, whole.source))


def _is_remembered(bank: MemoryBank, features: ImageFeatures, moment: Moment) -> bool:
    """Whether the next image, were it like this one, would attend to this one."""
    query = MemoryQuery(moment.frame + 1, moment.direction, moment.frame_count, features.stride16, draws=False)
    return any(entry.frame == moment.frame for entry in bank.select(query).entries)
