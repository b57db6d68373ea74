"""A network that needs no training: an object is every pixel as bright as what was prompted."""

import weakref
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional as F

from medsam2.frames.frame_stack import IMAGE_MEAN, IMAGE_STD
from medsam2.network import ImageFeatures, MaskPrediction
from medsam2.network.outputs import PointKind

LEVELS = (0, 102, 204)
"""Intensities (uint8) that the network tells apart; 0 is background."""

SIDE = 16
"""Frames of this many rows and columns are segmented to the pixel: their masks are not resized."""

IOU = 0.9


class IntensityNetwork:
    """The verbs of `Sam2Network`; counts what is encoded.

    Args:
        score: what it says of an object's presence; None: the truth.
    """

    training = False
    device = torch.device("cpu")
    dtype = precision = torch.float32
    compiled_maps = None
    config = SimpleNamespace(
        size=4 * SIDE, drawn_prompts=False, consensus=False, least_iou=0.0, focus=0.0, likeness=False
    )

    def __init__(self, score=None):
        self.score = score
        self.encoded = 0
        self._features = []

    def eval(self):
        return self

    @property
    def features_alive(self):
        return sum(one() is not None for one in self._features)

    def encode_image(self, images):
        self.encoded += len(images)
        grey = images[:, :1] * IMAGE_STD[0] + IMAGE_MEAN[0]
        # The middle of each 4 x 4 pixels is nearly the pixel of the frame that they were made of.
        middle = F.avg_pool2d(grey[..., 1:-1, 1:-1], 2, stride=4)
        step = LEVELS[1] / 255
        features = ImageFeatures(*(F.avg_pool2d((middle / step).round() * step, side) for side in (1, 2, 4)))
        self._features.append(weakref.ref(features.stride16))
        return features

    def condition(self, features, memory):
        """Carry the brightness that the pointers remember."""
        if memory is None:
            return features
        carried = torch.stack([torch.cat(one.pointers).nanmean() for one in memory])
        shared = features.expand(len(memory)) if len(features) == 1 else features
        cells = carried[:, None, None, None].expand(-1, *shared.stride16.shape[1:])
        return ImageFeatures(shared.stride4, shared.stride8, cells)

    def decode(self, features, prompt):
        objects = len(prompt.kinds)
        images = features.stride4[:, 0].expand(objects, -1, -1)
        brightness = torch.stack([self._brightness(images[b], features, prompt, b) for b in range(objects)])
        # NaN is as bright as nothing.
        logits = torch.where((images - brightness[:, None, None]).abs() < 0.1, 10.0, -10.0)
        seen = torch.where((logits > 0).flatten(1).any(1), 5.0, -5.0)
        return MaskPrediction(
            logits=logits[:, None].expand(-1, 4, -1, -1),
            iou=torch.full((objects, 4), IOU),
            tokens=brightness[:, None, None].expand(-1, 4, 1),
            object_score=seen if self.score is None else torch.full((objects,), float(self.score)),
        )

    def _brightness(self, image, features, prompt, b):
        kinds = prompt.kinds[b]
        if prompt.mask is not None:
            return image[prompt.mask[b, 0] > 0].mean()
        if (kinds == PointKind.POSITIVE).any():
            place = prompt.points[b][kinds == PointKind.POSITIVE][0]
        elif (kinds == PointKind.BOX_FIRST).any():
            place = prompt.points[b][:2].mean(0)
        else:
            return features.stride16.expand(len(prompt.kinds), -1, -1, -1)[b].mean()
        x, y = ((place + 0.5) / 4).long().tolist()
        return image[y, x]

    def mask_to_logits(self, mask):
        return F.avg_pool2d(mask, 4) * 20 - 10

    def point_to_object(self, token, present):
        return torch.where(present[:, None], token, torch.nan)

    def encode_memory(self, features, mask, present):
        return torch.zeros(len(mask), 64, *features.stride16.shape[-2:])


class FocusingNetwork(IntensityNetwork):
    """The same, looking at objects through regions."""

    config = SimpleNamespace(**vars(IntensityNetwork.config) | {"focus": 2.5})


class ArrayFrames:
    """Frames of an array (T, SIDE, SIDE) uint8 of `LEVELS`; remembers which were asked for."""

    def __init__(self, array):
        self.array = np.asarray(array, np.uint8)
        self.asked = []

    def __len__(self):
        return len(self.array)

    def frame(self, t):
        self.asked.append(t)
        grey = torch.from_numpy(self.array[t] / np.float32(255)).float()
        large = F.interpolate(grey[None, None], scale_factor=4)[0].expand(3, -1, -1)
        return (large - torch.tensor(IMAGE_MEAN)[:, None, None]) / torch.tensor(IMAGE_STD)[:, None, None]
