"""Answers on single slices, with all that the decoder said: what a volume is before anything is propagated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from medsam2.engine.focus import focused_prompt
from medsam2.engine.propagate import EncodedFrames
from medsam2.engine.step import FramePrediction
from medsam2.engine.track import Moment, NetworkPrompt, Track, advance
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import PromptError
from medsam2.frames import FrameStack, Region, choose_window
from medsam2.memory import FifoBank
from medsam2.network import Sam2Network
from medsam2.prompts import SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import PlaneView, Volume

OBJECTS_AT_ONCE = 32
"""Objects of one slice that are decoded together."""


@dataclass(frozen=True, eq=False)
class SliceAnswer:
    """What the network says of one object on one slice.

    Attributes:
        mask: (R, C) bool, the mask that the user gets.
        candidates: (3, R, C) bool, the three that compete where a prompt is ambiguous.
        estimates: (3,) the network's own estimate of their intersection over union, [0, 1].
    """

    mask: MaskArray
    candidates: NDArray[np.bool_]
    estimates: NDArray[np.float32]


class SliceSegmenter:
    """Segments slices of a volume one at a time, each as the prompted slice of a volume run.

    The object is believed to be on the slice (`trust_prompts`), as where the user prompts.

    Args:
        network: in evaluation mode.
        volume: whose slices are shown.
        view: of the plane.
        settings: window and size; there is nothing to remember.
    """

    def __init__(self, network: Sam2Network, volume: Volume, view: PlaneView, settings: SegmentSettings) -> None:
        self.network = network
        window = choose_window(volume, settings.window)
        self.frames = FrameStack(volume, view, window, settings.size or network.config.size)
        self._encoded = EncodedFrames(network, self.frames)

    def shown(self, frame: int) -> NDArray[np.float32]:
        """The slice as it is shown to the network, (R, C) grey in [0, 1]; colours are averaged."""
        pixels = self.frames.window.apply(self.frames.plane_view.to_frames(self.frames.volume.array)[frame])
        return pixels.mean(-1) if self.frames.volume.is_rgb else pixels

    def answers(self, frame: int, prompts: Sequence[SlicePrompt]) -> list[SliceAnswer]:
        """Segment objects on one slice from their points and boxes.

        Args:
            frame: index of the slice.
            prompts: one an object.

        Raises:
            PromptError: an object's mask is drawn, so that there is nothing to answer.
        """
        if any(prompt.mask is not None for prompt in prompts):
            raise PromptError(f"slice {frame}: a drawn mask is its own answer; prompt with a box or points")
        laid = [focused_prompt(self.network, self.frames, frame, prompt) for prompt in prompts]
        answers: list[SliceAnswer] = []
        for start in range(0, len(laid), OBJECTS_AT_ONCE):
            answers += self._decode(frame, laid[start : start + OBJECTS_AT_ONCE])
        return answers

    def _decode(self, frame: int, prompts: Sequence[NetworkPrompt]) -> list[SliceAnswer]:
        tracks = [Track(FifoBank(), {frame: prompt}) for prompt in prompts]
        present = torch.ones(len(tracks), dtype=torch.bool, device=self.network.device)
        with torch.inference_mode():
            features = self._encoded.seen(frame, [prompt.region for prompt in prompts])
            found = advance(self.network, features, tracks, Moment(frame, 1, len(self.frames)), present)
        by_row = {
            row: self._answer(one.prediction, place, prompts[row].region)
            for one in found
            for place, row in enumerate(one.rows)
        }
        return [by_row[row] for row in range(len(prompts))]

    def _answer(self, found: FramePrediction, place: int, region: Region | None) -> SliceAnswer:
        raw = found.candidates
        if raw is None:
            raise PromptError("the network gave no candidates, as for a drawn mask")
        logits = torch.cat((found.logits[place : place + 1], raw.logits[place, 1:])).float().cpu()
        masks = self.frames.through(region).logits_to_frame(logits).numpy() > 0
        return SliceAnswer(masks[0], masks[1:], raw.iou[place, 1:].float().cpu().numpy())
