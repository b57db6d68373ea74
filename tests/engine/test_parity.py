"""The whole chain against transformers' video model: same weights, same frames, same prompts, same masks."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from medsam2.engine.track import Moment, NetworkPrompt, Track, advance
from medsam2.memory import FifoBank, MemoryQuery
from medsam2.network import MemorySelection, NetworkConfig, PointKind, Sam2Network
from medsam2.network.outputs import NO_OBJECT_LOGIT
from reference.sam2_transformers import SMALL, SMALL_UNTIMED, Pair, Session, build_pair

SIZE, FRAMES, START = 128, 8, 3
Prompts = dict[int, NetworkPrompt]


def points_of(points: Sequence[tuple[float, float]], *kinds: PointKind) -> NetworkPrompt:
    return NetworkPrompt(torch.tensor(points), torch.tensor(kinds))


def disc(x: float, y: float, radius: float) -> NetworkPrompt:
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return NetworkPrompt.from_mask(((columns - x) ** 2 + (rows - y) ** 2 < radius**2).float()[None])


BOX = points_of([(20.0, 30.0), (70.0, 90.0)], PointKind.BOX_FIRST, PointKind.BOX_LAST)
CLICK = points_of([(84.0, 41.0)], PointKind.POSITIVE)
CLICKS = points_of(
    [(40.0, 50.0), (90.0, 100.0), (15.0, 110.0)], PointKind.POSITIVE, PointKind.POSITIVE, PointKind.NEGATIVE
)
CONFIGS = {"2.1": SMALL, "2.0": SMALL_UNTIMED, "tiny": NetworkConfig.preset("sam2.1-hiera-tiny")}
# Seeds, and shifts of the object score, that leave each object on some frames and absent from others.
SEEDS = {"2.1": 2, "2.0": 2, "tiny": 0}
SCORE_BIASES = {"2.1": -0.012, "2.0": 0.514, "tiny": -0.427}


@cache
def pair_of(name: str) -> Pair:
    return build_pair(CONFIGS[name], SIZE, SEEDS[name], SCORE_BIASES[name])


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """(T, 3, S, S): smooth random shapes that drift and change, with noise on top."""
    generator = torch.Generator().manual_seed(5)
    first, last = torch.randn(2, 1, 3, 10, 10, generator=generator)
    shares = torch.linspace(0, 1, FRAMES)[:, None, None, None]
    shapes = F.interpolate(first + shares * (last - first), size=(SIZE, SIZE), mode="bicubic")
    return 1.5 * shapes + 0.2 * torch.randn(FRAMES, 3, SIZE, SIZE, generator=generator)


@pytest.fixture
def float32_memories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both implementations keep memories in bfloat16, and name it when they round.

    Rounding turns a difference in the last bit of a float32 into one of 1/256, which would hide small mistakes.
    """
    monkeypatch.setattr(torch, "bfloat16", torch.float32)


def segment_with_reference(pair: Pair, frames: Tensor, objects: Sequence[Prompts]) -> dict[int, Tensor]:
    """Prompt, then propagate forward and backward in one session: logits (B, S / 4, S / 4) by frame."""
    session = Session(pair.reference, frames)
    for frame in sorted({frame for prompts in objects for frame in prompts}):
        for name, prompts in enumerate(objects):
            if frame in prompts:
                session.add(name, frame, prompts[frame])
        session.prompt(frame)
    return session.propagate(START, reverse=False) | session.propagate(START, reverse=True)


@torch.no_grad()
def segment(
    network: Sam2Network, frames: Tensor, objects: Sequence[Prompts], bank: type[FifoBank] = FifoBank
) -> dict[int, Tensor]:
    """The same with medsam2, visiting the frames in the same order."""
    tracks = [Track(bank(), prompts) for prompts in objects]
    features = [network.encode_image(frame[None]) for frame in frames]
    found = {frame: torch.zeros(len(objects), SIZE // 4, SIZE // 4) for frame in range(FRAMES)}
    visits = [(frame, 1) for frame in sorted({frame for prompts in objects for frame in prompts})]
    visits += [(frame, 1) for frame in range(START, FRAMES)]
    visits += [(frame, -1) for frame in range(START, -1, -1)]
    for frame, direction in visits:
        # A prompted frame is segmented once; an object that is not prompted anywhere yet is not there.
        rows = [
            row
            for row, track in enumerate(tracks)
            if (frame not in track.bank.prompted) and (track.bank.prompted or frame in track.prompts)
        ]
        moment = Moment(frame, direction, FRAMES)
        for group in advance(network, features[frame], [tracks[row] for row in rows], moment):
            found[frame][[rows[row] for row in group.rows]] = group.prediction.logits
    return found


def is_telling(found: dict[int, Tensor]) -> bool:
    """Objects are on some frames and absent from others, and masks have an inside and an outside."""
    logits = torch.stack(list(found.values())).flatten(2)
    absent = (logits == NO_OBJECT_LOGIT).all(2)
    present = logits[~absent]
    return bool(absent.any() and len(present) and (present > 0).any(1).all() and (present < 0).any(1).all())


def check_equal(found: dict[int, Tensor], reference: dict[int, Tensor], tolerance: float = 1e-4) -> None:
    assert found.keys() == reference.keys()
    for frame, logits in reference.items():
        torch.testing.assert_close(found[frame], logits, rtol=0, atol=tolerance)
        assert torch.equal(found[frame] > 0, logits > 0)


@pytest.mark.usefixtures("float32_memories")
@pytest.mark.parametrize("name", CONFIGS)
def test_three_objects_prompted_in_the_middle(name, frames):
    pair = pair_of(name)
    objects = [{START: BOX}, {START: CLICK}, {START: CLICKS}]

    found = segment(pair.network, frames, objects)

    assert is_telling(found)
    check_equal(found, segment_with_reference(pair, frames, objects))


@pytest.mark.usefixtures("float32_memories")
@pytest.mark.parametrize("name", ["2.1", "2.0"])
def test_one_object_prompted_on_two_frames(name, frames):
    pair = pair_of(name)
    objects = [{START: BOX, 6: CLICKS}]

    found = segment(pair.network, frames, objects)

    check_equal(found, segment_with_reference(pair, frames, objects))
    with pytest.raises(AssertionError, match="not close"):
        check_equal(segment(pair.network, frames, [{START: BOX}]), found)


@pytest.mark.usefixtures("float32_memories")
@pytest.mark.parametrize("name", ["2.1", "2.0"])
def test_objects_prompted_on_different_frames(name, frames):
    # The second object is prompted ahead of where propagation starts, so at first it has a memory but no pointer.
    pair = pair_of(name)
    objects = [{START: BOX}, {5: CLICKS}]

    found = segment(pair.network, frames, objects)

    check_equal(found, segment_with_reference(pair, frames, objects))


@pytest.mark.usefixtures("float32_memories")
@pytest.mark.parametrize("name", ["2.1", "2.0"])
def test_drawn_mask(name, frames, monkeypatch):
    pair = pair_of(name)
    objects = [{START: disc(60, 70, 25)}, {START: BOX}]
    # Meta's code takes the pointer of a drawn mask from the token for clear prompts; transformers calls its decoder
    # without saying so and gets the best of the three others.
    decode = pair.reference._single_frame_forward
    monkeypatch.setattr(
        pair.reference, "_single_frame_forward", lambda **given: decode(**{"multimask_output": False} | given)
    )

    found = segment(pair.network, frames, objects)

    check_equal(found, segment_with_reference(pair, frames, objects))
    assert torch.equal(found[START][0] > 0, F.avg_pool2d(objects[0][START].drawn, 4)[0] > 0.5)


@pytest.mark.usefixtures("float32_memories")
@torch.no_grad()
def test_pointer_of_a_drawn_mask_that_the_decoder_does_not_see(frames):
    pair = build_pair(SMALL, SIZE, score_bias=-5.0)
    prompt = disc(60, 70, 25)
    session = Session(pair.reference, frames)
    session.add(0, START, prompt)
    session.prompt(START)
    track = Track(FifoBank(), {START: prompt})

    advance(pair.network, pair.network.encode_image(frames[START][None]), [track], Moment(START, 1, FRAMES))

    entry, reference = track.bank.prompted[START], session.remembered(0, START)
    torch.testing.assert_close(entry.pointer, reference["object_pointer"][0])
    torch.testing.assert_close(entry.object_score, reference["object_score_logits"][0, 0])
    torch.testing.assert_close(entry.features.flatten(2), reference["maskmem_features"].permute(1, 2, 0))


@pytest.mark.usefixtures("float32_memories")
@torch.no_grad()
@pytest.mark.parametrize("clicks", [CLICK, CLICKS], ids=["one", "three"])
def test_correction_of_a_frame_that_was_reached_by_propagation(clicks, frames):
    pair, corrected = build_pair(SMALL, SIZE, score_bias=5.0), START + 2
    session = Session(pair.reference, frames)
    session.add(0, START, BOX)
    session.prompt(START)
    earlier = session.propagate(START, reverse=False)
    track = Track(FifoBank(), {START: BOX})
    features = [pair.network.encode_image(frame[None]) for frame in frames]
    for frame in range(START, FRAMES):
        advance(pair.network, features[frame], [track], Moment(frame, 1, FRAMES))

    track.prompts[corrected] = replace(clicks, previous=earlier[corrected], remembers=True)
    (found,) = advance(pair.network, features[corrected], [track], Moment(corrected, 1, FRAMES))

    reference = session.correct(0, corrected, clicks, earlier[corrected])
    torch.testing.assert_close(found.prediction.logits, reference, rtol=0, atol=1e-4)
    assert not torch.equal(reference > 0, earlier[corrected] > 0)
    assert sorted(track.bank.prompted) == [START, corrected]


def test_memories_in_bfloat16(frames):
    # As both implementations run: a rounding that falls the other way shows in the logits, hardly in the masks.
    pair = build_pair(SMALL, SIZE, seed=1, score_bias=5.0)
    objects = [{START: BOX}, {START: CLICK}, {START: CLICKS}]

    found = segment(pair.network, frames, objects)
    reference = segment_with_reference(pair, frames, objects)

    for frame, logits in reference.items():
        torch.testing.assert_close(found[frame], logits, rtol=0, atol=0.05)
        assert ((found[frame] > 0) != (logits > 0)).float().mean() < 0.005


class WrongRecency(FifoBank):
    def select(self, query: MemoryQuery) -> MemorySelection:
        right = super().select(query)
        return replace(right, recency=tuple(row if row == 6 else row + 1 for row in right.recency))


class WrongTime(FifoBank):
    def select(self, query: MemoryQuery) -> MemorySelection:
        right = super().select(query)
        return replace(right, times=tuple(time + 1 / 15 for time in right.times))


class FewPointers(FifoBank):
    def select(self, query: MemoryQuery) -> MemorySelection:
        right = super().select(query)
        return replace(right, pointers=right.pointers[:3], times=right.times[:3])


@pytest.mark.usefixtures("float32_memories")
@pytest.mark.parametrize("bank", [WrongRecency, WrongTime, FewPointers])
def test_the_comparison_notices_small_mistakes(bank, frames):
    pair = pair_of("2.1")
    right, wrong = (segment(pair.network, frames, [{START: BOX}], kind) for kind in (FifoBank, bank))

    with pytest.raises(AssertionError, match="not close"):
        check_equal(wrong, right, tolerance=1e-3)
