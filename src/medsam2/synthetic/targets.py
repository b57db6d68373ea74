"""What to prompt in a clip: labels, filled organs, unions of neighbours, single instances.

All of it is decided on a table of areas (frame by instance), so that only the chosen masks touch voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from medsam2.errors import ShapeError
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.slab import Clip, Slab

MIN_AREA = 0.0015  # share of the image an object needs on the frame where it is prompted
MAX_AREA = 0.7
MIN_CONTRAST = 0.15  # of the sum of deviations, between an object and its surroundings
_REDRAWS = 2  # for objects that do not stand out
ABSENT_SHARE = 0.65  # of the objects drawn, those asked to be missing on some frame (if there are any)


@dataclass(frozen=True)
class Targets:
    """Objects to prompt in one clip.

    Attributes:
        masks: (O, T, S, S) bool.
        prompt_frame: (O,) int64, a frame on which the object is visible.
    """

    masks: Tensor
    prompt_frame: Tensor


@dataclass(frozen=True)
class _Candidates:
    """Sets of instances (C, I + 1) bool, their areas (C, T) in shares of the image, and how often to draw each."""

    members: Tensor
    areas: Tensor
    weights: Tensor


def sample_targets(clip: Clip | Slab, count: int, generator: Generator, first_frame_share: float = 0.0) -> Targets:
    """Draw objects to prompt, with repeats where the clip holds fewer.

    Args:
        clip: A clip, or its slab.
        count: Number of objects, O.
        generator: Randomness; advanced.
        first_frame_share: Share of objects that are visible on frame 0 and prompted there, where possible.

    Raises:
        ShapeError: Nothing in the clip is large enough to be prompted.
    """
    slab = clip.slab if isinstance(clip, Clip) else clip
    source = RandomSource(generator, "cpu")
    found = _candidates(slab, source)
    if found is None:
        raise ShapeError(f"no object of the {slab.kind} clip covers {MIN_AREA:.2%} to {MAX_AREA:.0%} of a frame")
    chosen, frames = [], []
    for _ in range(count):
        index, frame = _draw(found, source, first_frame_share)
        for _ in range(_REDRAWS if isinstance(clip, Clip) else 0):
            if _stands_out(clip, found.members[index], frame):  # type: ignore[arg-type]
                break
            index, frame = _draw(found, source, first_frame_share)
        chosen.append(index)
        frames.append(frame)
    members = found.members[chosen].to(slab.instances.device)
    return Targets(members[:, slab.instances.long()], torch.tensor(frames, device=slab.instances.device))


def _stands_out(clip: Clip, members: Tensor, frame: int) -> bool:
    """Whether inside and surroundings differ by a share of their deviations: weak edges yes, invisible ones no."""
    image = clip.images[frame] if clip.images.ndim == 3 else clip.images[frame].mean(0)
    mask = members.to(image.device)[clip.slab.instances[frame].long()]
    tall = F.max_pool2d(mask[None].float(), (7, 1), 1, (3, 0))
    around = F.max_pool2d(tall, (1, 7), 1, (0, 3))[0].bool() & ~mask
    total = torch.stack([_moments(image, mask), _moments(image, around)]).tolist()
    (mean, deviation), (mean_around, deviation_around) = total
    return abs(mean - mean_around) > MIN_CONTRAST * (deviation + deviation_around + 0.02)


def _moments(image: Tensor, mask: Tensor) -> Tensor:
    weight = mask / mask.sum().clamp(min=1)
    mean = (image * weight).sum()
    return torch.stack((mean, ((image - mean).square() * weight).sum().sqrt()))


def has_target(slab: Slab) -> bool:
    """Whether anything in the slab can be prompted."""
    areas = instance_areas(slab)
    labels = torch.zeros(areas.shape[0], len(slab.structures))
    labels.index_add_(1, slab.instance_labels.long().cpu(), areas)
    return bool(_promptable(labels[:, 1:].T).any())


def instance_areas(slab: Slab) -> Tensor:
    """(T, I + 1) float32 on the CPU: share of each frame that each instance covers."""
    frames, count = slab.instances.shape[0], len(slab.instance_labels)
    offset = torch.arange(frames, device=slab.instances.device)[:, None, None] * count
    counts = torch.bincount((slab.instances.long() + offset).flatten(), minlength=frames * count)
    return counts.view(frames, count).cpu().float() / (slab.instances.shape[1] * slab.instances.shape[2])


def _promptable(areas: Tensor) -> Tensor:
    """(C,) bool of areas (C, T)."""
    return (areas.amax(1) >= MIN_AREA) & (areas.amax(1) <= MAX_AREA)


def _candidates(slab: Slab, source: RandomSource) -> _Candidates | None:
    areas = instance_areas(slab)
    labels, parents = slab.instance_labels.long().cpu(), slab.instance_parents.long().cpu()
    by_label = F.one_hot(labels, len(slab.structures)).T[1:].bool()
    by_label[:, 0] = False
    groups = [(by_label, 0.6), (_fill(by_label, parents), 1.0), (_touching(slab, by_label, source), 0.5)]
    if slab.ordered:
        single = _visible_instances(areas)
        groups += [(single, 0.5), (_fill(single, parents), 0.7)]
    members = torch.cat([group for group, _ in groups])
    # A group counts as a whole, however many members it has: a hundred nuclei must not crowd out the tissue.
    weights = torch.cat([torch.full((len(group),), 0.1 + weight / max(len(group), 1)) for group, weight in groups])
    parts = (members & (areas.amax(0) >= MIN_AREA / 4)).sum(1)
    weights = weights / parts.clamp(min=1).sqrt()  # one thing is asked for more often than scattered many
    sizes = members.float() @ areas.T
    keep = _promptable(sizes)
    return _Candidates(members[keep], sizes[keep], weights[keep]) if keep.any() else None


def _visible_instances(areas: Tensor) -> Tensor:
    visible = (areas[:, 1:].amax(0) >= MIN_AREA).nonzero()[:, 0] + 1
    members = torch.zeros(len(visible), areas.shape[1], dtype=torch.bool)
    members[torch.arange(len(visible)), visible] = True
    return members


def _fill(members: Tensor, parents: Tensor) -> Tensor:
    """Add to each set all that was painted into it: parts, contents, lesions."""
    filled = members.clone()
    for instance in range(1, len(parents)):  # a parent is always painted before its children
        if parents[instance] > 0:
            filled[:, instance] |= filled[:, parents[instance]]
    return filled


def _touching(slab: Slab, by_label: Tensor, source: RandomSource) -> Tensor:
    """Unions of two labels that share a border."""
    count = len(slab.structures)
    labels = slab.labels.long()
    pairs = torch.bincount((labels[..., :-1] * count + labels[..., 1:]).flatten(), minlength=count**2)
    border = pairs.view(count, count).cpu()
    border = (border + border.T).triu(1)
    border[0] = 0
    found = (border >= 4).nonzero().tolist()
    chosen = [source.choice(found) for _ in range(min(6, len(found)))]
    unions = [by_label[first - 1] | by_label[second - 1] for first, second in chosen]
    return torch.stack(unions) if unions else by_label[:0]


def _draw(found: _Candidates, source: RandomSource, first_frame_share: float) -> tuple[int, int]:
    """Draw a candidate and the frame it is prompted on."""
    weights = found.weights.clone()
    absent = (found.areas == 0).any(1)
    wanted = absent if source.chance(ABSENT_SHARE) else ~absent
    if wanted.any():
        weights[~wanted] = 0.0
    early = found.areas[:, 0] >= MIN_AREA
    first = source.chance(first_frame_share)
    if first and bool((weights[early] > 0).any()):
        weights[~early] = 0.0
    index = source.choice(range(len(weights)), weights.tolist())
    areas = found.areas[index].tolist()
    visible = [frame for frame, area in enumerate(areas) if area >= MIN_AREA]
    if first and visible[0] == 0:
        return index, 0
    if source.chance(0.4):
        return index, max(visible, key=lambda frame: areas[frame])
    return index, source.choice(visible)
