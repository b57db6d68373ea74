"""A batch of clips through the engine: what is judged, what is remembered, and what learns from it."""

from dataclasses import replace

import pytest
import torch

from medsam2.engine.track import advance
from medsam2.memory import FifoBank, SortedBank
from medsam2.network import Sam2Network
from medsam2.network.outputs import PointKind
from medsam2.training import clip_loss as module
from medsam2.training.clip_loss import ClipBatch, ClipOutcome, ClipRun, ClipSettings, clip_loss
from medsam2.training.prompting import PromptMix
from medsam2.training.trainer import initialised
from training.two_processes import TINY

SIDE = 64
CLICKS, BOXES, DRAWN = PromptMix(0, 0), PromptMix(1, 0), PromptMix(0, 1)


def batch_of(clips=2, objects=3, frames=3, absent=(), channels=1, seed=0):
    """Clips of noise, with a brighter rectangle for each object; `absent` are (object, frame) pairs without it."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.zeros(clips * objects, frames, SIDE, SIDE, dtype=torch.bool)
    for row in range(len(truth)):
        for frame in range(frames):
            y, x = (4 + torch.randint(24, (2,), generator=generator)).tolist()
            truth[row, frame, y : y + 24, x : x + 20] = (row, frame) not in absent
    images = torch.randn(clips, frames, channels, SIDE, SIDE, generator=generator)
    clip_of = torch.arange(clips).repeat_interleave(objects)
    for row, clip in enumerate(clip_of.tolist()):
        images[clip] += truth[row, :, None]
    places = tuple(2 * frame for frame in range(frames))
    return ClipBatch(images, truth, clip_of, places, tuple(clip % 2 == 0 for clip in range(clips)))


def network_of(drawn_prompts=False, sees=True):
    """A network of random weights that sees its object everywhere, or nowhere."""
    torch.manual_seed(0)
    network = initialised(Sam2Network(replace(TINY, drawn_prompts=drawn_prompts, size=SIDE))).train()
    network.mask_decoder.object_score_head.layers[-1].bias.data.fill_(3.0 if sees else -3.0)
    return network


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def unreached(network, batch, settings, seed=0):
    """Parameters that do not learn from a batch."""
    network.zero_grad()
    clip_loss(network, batch, settings, seeded(seed)).total.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    return {name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()}


ALL_KINDS = ClipSettings(PromptMix(box=0.3, mask=0.4), first_frame_corrections=2, later_correction=1.0)


@pytest.mark.parametrize("drawn_prompts", [False, True])
def test_gradients_reach_every_parameter(drawn_prompts):
    batch = batch_of(clips=3, objects=4, absent={(1, 1), (4, 1), (6, 2)})
    sighted, blind = (unreached(network_of(drawn_prompts, sees), batch, ALL_KINDS, seed=2) for sees in (True, False))
    assert sighted == {"no_object_pointer", "no_object_memory"}
    assert not sighted & blind


@pytest.mark.parametrize("sees", [True, False])
def test_the_network_decides_what_is_remembered_unless_a_prompt_says_it(monkeypatch, sees):
    remembered = []

    def spy(network, features, tracks, moment, present):
        found = advance(network, features, tracks, moment, present)
        remembered.extend((moment.frame, bool(here)) for one in found for here in one.prediction.present)
        return found

    monkeypatch.setattr(module, "advance", spy)
    batch = batch_of(clips=1, objects=2, absent={(0, 1)})
    clip_loss(network_of(sees=sees), batch, ClipSettings(CLICKS, **NO_CORRECTIONS), seeded())
    assert remembered == [(0, True)] * 2 + [(2, sees)] * 2 + [(4, sees)] * 2


NO_CORRECTIONS = {"first_frame_corrections": 0, "later_correction": 0.0}


def beginning(names, *parts):
    return {name for name in names if name.startswith(parts)}


def test_what_a_batch_does_not_use_does_not_learn():
    network = network_of()
    names = [name for name, _ in network.named_parameters()]
    clicks = ClipSettings(CLICKS, **NO_CORRECTIONS)
    never_absent = {"no_object_pointer", "no_object_memory"}
    never_a_mask = beginning(names, "mask_to_logits", "prompt_encoder.mask_encoder")
    # Only the best of the three ambiguous masks learns: with few objects, one may never be the best.
    losers = beginning(names, "mask_decoder.mask_heads")

    tracked = batch_of(clips=4, objects=4)
    assert unreached(network, tracked, clicks) - losers == never_absent | never_a_mask
    # A frame alone remembers nothing.
    memory = beginning(names, "memory_", "pointer_head")
    single = batch_of(clips=4, objects=4, frames=1)
    assert unreached(network, single, clicks) - losers == never_absent | never_a_mask | memory
    # An object that goes on the last frame leaves no memory of that.
    last = batch_of(clips=4, objects=4, absent={(0, 2)})
    assert unreached(network, last, clicks) - losers == never_absent | never_a_mask


def test_a_drawn_mask_teaches_through_what_follows():
    network = network_of()
    batch = batch_of(frames=2)
    missed = unreached(network, batch, ClipSettings(DRAWN, **NO_CORRECTIONS))
    assert not beginning(missed, "mask_to_logits", "prompt_encoder.mask_encoder", "memory_", "pointer_head")


def test_a_drawn_mask_teaches_even_if_the_decoder_does_not_see_it():
    network = network_of()
    network.mask_decoder.object_score_head.layers[-1].bias.data.fill_(-30.0)
    missed = unreached(network, batch_of(frames=2), ClipSettings(DRAWN, **NO_CORRECTIONS))
    assert not {"mask_to_logits.weight", "mask_to_logits.bias"} & missed


@pytest.fixture
def judgements(monkeypatch):
    """Every call that judges: (losses, truth, ambiguous)."""
    calls, real = [], module.frame_loss

    def noted(prediction, truth, ordered, ambiguous):
        loss = real(prediction, truth, ordered, ambiguous)
        calls.append((loss, truth, ambiguous))
        return loss

    monkeypatch.setattr(module, "frame_loss", noted)
    return calls


def test_the_loss_is_the_mean_over_all_answers(judgements):
    outcome = clip_loss(network_of(), batch_of(absent={(2, 1)}), ALL_KINDS, seeded(1))
    answers = sum(len(truth) for _, truth, _ in judgements)
    total = sum(loss.total() * len(truth) for loss, truth, _ in judgements)
    assert outcome.total.item() == pytest.approx((total / answers).item(), rel=1e-5)
    assert outcome.total.ndim == 0
    assert outcome.total.isfinite()


@pytest.mark.parametrize(("mix", "first"), [(CLICKS, "dice click"), (BOXES, "dice box"), (DRAWN, None)])
def test_every_answer_of_the_network_is_judged_once(judgements, mix, first):
    batch = batch_of()
    outcome = clip_loss(network_of(), batch, ClipSettings(mix, **NO_CORRECTIONS), seeded())
    expected = [batch.truth[:, frame] for frame in range(first is None, 3)]
    assert len(judgements) == len(expected)
    assert all(torch.equal(truth, one) for (_, truth, _), one in zip(judgements, expected, strict=True))
    counted = {name: count for name, (_, count) in outcome.scores.items() if name.startswith("dice")}
    assert counted == {"dice tracked": 12} | ({first: 6} if first else {})


def test_each_object_is_judged_as_its_clip_is(monkeypatch):
    told, real = [], module.frame_loss
    monkeypatch.setattr(module, "frame_loss", lambda *given: told.append(given[2]) or real(*given))
    clip_loss(network_of(), batch_of(), ClipSettings(CLICKS, **NO_CORRECTIONS), seeded())
    assert [one.tolist() for one in told] == [[True] * 3 + [False] * 3] * 3


def test_one_click_and_no_prompt_are_ambiguous(judgements):
    clip_loss(network_of(), batch_of(), ClipSettings(CLICKS, **NO_CORRECTIONS), seeded())
    assert all(ambiguous.all() for _, _, ambiguous in judgements)


def test_without_a_prompt_the_consensus_is_judged(judgements, monkeypatch):
    judged, real = [], module.consensus_loss
    monkeypatch.setattr(module, "consensus_loss", lambda *given: judged.append(given[1]) or real(*given))
    network, batch = network_of(), batch_of()
    network.config = replace(network.config, consensus=True)
    outcome = clip_loss(network, batch, ClipSettings(CLICKS, **NO_CORRECTIONS), seeded())
    assert [len(truth) for _, truth, _ in judgements] == [6]  # the prompted frame
    assert all(torch.equal(one, batch.truth[:, frame]) for frame, one in enumerate(judged, start=1))
    assert len(judged) == 2
    assert outcome.scores["dice tracked"][1] == 12


def test_a_first_drawing_is_judged_where_one_was_made():
    torch.manual_seed(0)
    config = replace(TINY, drawn_prompts=True, likeness=True, size=SIDE)
    network = initialised(Sam2Network(config)).train()
    settings = ClipSettings(DRAWN, **NO_CORRECTIONS)
    outcome = clip_loss(network, batch_of(), settings, seeded())
    assert outcome.scores["dice likeness"][1] == 6  # three objects of the unordered clip, on two frames
    outcome.total.backward()
    assert next(network.neck.parameters()).grad.any()
    network.config = replace(config, likeness=False)
    assert "dice likeness" not in clip_loss(network, batch_of(), settings, seeded()).scores


def test_a_box_and_several_clicks_are_clear(judgements):
    clip_loss(network_of(), batch_of(frames=1), ClipSettings(BOXES, **NO_CORRECTIONS), seeded())
    clip_loss(network_of(), batch_of(frames=1), ClipSettings(CLICKS, 4, 0.0), seeded(1))
    assert not judgements[0][2].any()
    assert judgements[1][2].all()
    assert len(judgements) > 2
    assert not any(ambiguous.any() for _, _, ambiguous in judgements[2:])


def run_of(batch, settings, seed=0):
    run = ClipRun(network_of(), batch, settings, seeded(seed))
    run.run()
    return run


def test_first_frame_corrections_add_one_click_at_a_time():
    counts = set()
    for seed in range(8):
        run = run_of(batch_of(frames=1), ClipSettings(PromptMix(0.5, 0), 2, 0.0), seed)
        for track in run.tracks:
            prompt = track.prompts[0]
            added = points_given(prompt) - (2 if has_box(prompt) else 1)
            counts.add(added)
            assert not prompt.remembers
            assert prompt.previous is None or prompt.previous.shape == (1, SIDE // 4, SIDE // 4)
    assert counts == {0, 1, 2}


def points_given(prompt):
    return int((prompt.kinds != PointKind.PADDING).sum())


def has_box(prompt):
    return bool((prompt.kinds == PointKind.BOX_FIRST).any())


def frames_found(bank):
    """Frames without a prompt that a bank remembers."""
    return sorted(bank.recent if isinstance(bank, FifoBank) else [entry.frame for entry in bank.kept])


def test_a_later_frame_is_corrected_from_memory():
    batch = batch_of(absent={(0, 1), (0, 2)})
    run = run_of(batch, ClipSettings(CLICKS, 0, 1.0))
    (corrected,) = {step for track in run.tracks for step in track.prompts} - {0}
    assert corrected in batch.steps[1:]
    assert list(run.tracks[0].prompts) == [0]  # an object that is not there is not clicked
    for row, track in enumerate(run.tracks[1:], start=1):
        prompt = track.prompts[corrected]
        assert prompt.remembers
        assert prompt.previous is not None
        assert points_given(prompt) == 1
        assert list(track.bank.prompted) == [0, corrected]
        assert corrected not in frames_found(track.bank)
        x, y = prompt.points[0].long().tolist()
        inside = batch.truth[row, batch.steps.index(corrected), y, x]
        assert inside == (prompt.kinds[0] == PointKind.POSITIVE)


def test_drawn_objects_are_not_corrected_on_the_frame_they_were_drawn_on():
    run = run_of(batch_of(frames=1), ClipSettings(DRAWN, 3, 0.0))
    assert all(track.prompts[0].drawn is not None for track in run.tracks)
    assert run.judged == 0


def test_banks_know_the_places_of_the_frames():
    batch = batch_of()
    run = run_of(batch, ClipSettings(BOXES, **NO_CORRECTIONS))
    for track in run.tracks:
        assert list(track.bank.prompted) == [0]
    assert [frames_found(track.bank) for track in run.tracks[:3]] == [[2, 4]] * 3  # of the ordered clip
    assert all(isinstance(track.bank, SortedBank) for track in run.tracks[3:])  # as a set is segmented with


def test_each_object_sees_its_own_clip(judgements):
    """An object's losses do not depend on what else is in the batch."""
    batch = batch_of(clips=2, objects=2)
    one = ClipBatch(batch.images[1:], batch.truth[2:], batch.clip_of[2:] - 1, batch.steps, batch.ordered[1:])
    settings = ClipSettings(DRAWN, **NO_CORRECTIONS)
    clip_loss(network_of(), batch, settings, seeded())
    both = list(judgements)
    judgements.clear()
    clip_loss(network_of(), one, settings, seeded())
    for (together, _, _), (alone, _, _) in zip(both, judgements, strict=True):
        torch.testing.assert_close(together.mask[2:], alone.mask, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.score[2:], alone.score, rtol=1e-4, atol=1e-5)


def test_colour_and_grey_clips_are_taken():
    grey = batch_of(frames=2)
    colour = replace(grey, images=grey.images.expand(-1, -1, 3, -1, -1))
    settings = ClipSettings(BOXES, **NO_CORRECTIONS)
    first, second = (clip_loss(network_of(), one, settings, seeded()).total for one in (grey, colour))
    torch.testing.assert_close(first, second)


def test_the_same_seed_gives_the_same_loss():
    first, again, other = (clip_loss(network_of(), batch_of(), ALL_KINDS, seeded(s)).total.item() for s in (1, 1, 2))
    assert first == again != other


def test_scores_are_means_of_what_is_known():
    outcome = ClipOutcome(torch.zeros(()))
    outcome.note("dice", torch.tensor([0.5, torch.nan, 1.0], requires_grad=True))
    outcome.note("dice", torch.tensor([torch.nan]))
    assert outcome.scores["dice"] == [1.5, 2]


def test_presence_is_logged_apart():
    batch = batch_of(absent={(2, 1), (3, 2), (4, 2)})
    scores = clip_loss(network_of(), batch, ClipSettings(BOXES, **NO_CORRECTIONS), seeded()).scores
    assert scores["seen if absent"][1] == 3
    assert scores["seen if present"][1] == 15
