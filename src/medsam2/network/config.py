"""What varies between SAM 2 networks, and the presets."""

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal, Self

from medsam2.errors import ConfigurationError

STRIDE = 16
"""Pixels a side of one cell of the feature grid (SAM 2, section 4)."""

SIZE_MULTIPLE = 32
"""The network's input side is a multiple of this: the last of the four stages has stride 32."""

MEMORY_COUNT = 7
"""One prompted and six recent memories have a temporal embedding of their own (SAM 2, appendix D)."""

MEMORY_CHANNELS = 64
"""Channels of a spatial memory (SAM 2, appendix D)."""

WIDE = 96
"""Channels of the first stage from which on multiplying takes most of the time, as in all published networks; rougher
numbers and a compiled encoder pay there, and gained the starter, of 48, nothing (docs/performance.md)."""


@dataclass(frozen=True)
class NetworkConfig:
    """The settings in which the SAM 2 networks differ; the others are constants of the architecture.

    Attributes:
        embedding_width: channels of the first of Hiera's four stages; each next stage doubles them.
        heads: attention heads of the first stage; each next stage doubles them.
        depths: blocks in each stage.
        global_blocks: indices of the blocks that attend over the whole image instead of within windows.
        windows: window side of each stage, in tokens.
        position_grid: side of the learnt, coarse position embedding of the trunk.
        width: channels of the neck, the decoder and the memory attention.
        feedforward: hidden channels of the transformer layers.
        memory_layers: layers of the memory attention.
        timed_memory: SAM 2.1's additions: object pointers know their time, and memories of frames
            without the object are marked.
        drawn_prompts: clicks, boxes and, where frames are ordered, the mask of the frame just before are also drawn
            into the dense prompt and the decoder's fine maps (the starter's; not in SAM 2).
        consensus: on a frame without a prompt, where nothing is ambiguous, the mask is the mean of the four candidates.
            SAM 2 takes one of them there; a small network then drifts from slice to slice, and its mean does not.
        least_iou: on a frame without a prompt, a mask whose estimated intersection over union is below this is taken
            for none, [0, 1]. For a network that learnt to estimate 0 where the object is absent (the starter's); SAM 2
            did not, and believes the object score alone.
        fine_layers: pairs of convolutions on the decoder's finest map (the starter's; none in SAM 2).
        likeness: where nothing tells where an object is, as on the next image of an unordered set, what looks like it
            is drawn as a first prompt (the starter's; not in SAM 2).
        focus: an object is looked at through a square this many times as large as its box, which follows it from slice
            to slice (the starter's); 0: always the whole frame, as SAM 2 does.
        size: input side in pixels that the network was trained at.
    """

    embedding_width: int
    heads: int
    depths: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    position_grid: int = 7
    width: int = 256
    feedforward: int = 2048
    memory_layers: int = 4
    timed_memory: bool = True
    drawn_prompts: bool = False
    consensus: bool = False
    least_iou: float = 0.0
    fine_layers: int = 0
    likeness: bool = False
    focus: float = 0.0
    size: int = 1024

    def __post_init__(self) -> None:
        if self.width % MEMORY_CHANNELS:
            raise ConfigurationError(
                f"width is {self.width}; it must be a multiple of {MEMORY_CHANNELS}, the memory's channels"
            )
        if not 0 <= self.least_iou <= 1:
            raise ConfigurationError(f"least_iou is {self.least_iou}; an intersection over union lies in [0, 1]")
        if self.focus and self.focus <= 1:
            raise ConfigurationError(f"focus is {self.focus}; expected 0 (the whole frame) or more than 1 box")
        check_size(self.size)

    @classmethod
    def preset(cls, name: str) -> "NetworkConfig":
        """The configuration called `name`.

        Raises:
            ConfigurationError: no preset has that name.
        """
        if name not in PRESETS:
            near = get_close_matches(name, PRESETS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigurationError(f"no network is called '{name}'; known: {', '.join(PRESETS)}.{hint}")
        return PRESETS[name]

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for a file's header."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ConfigurationError: a setting is unknown or missing.
        """
        unknown = settings.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise ConfigurationError(f"unknown network setting(s): {', '.join(sorted(unknown))}")
        tuples: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
        }
        try:
            return cls(**tuples)
        except TypeError as error:
            raise ConfigurationError(f"incomplete network settings: {error}") from error

    @property
    def is_wide(self) -> bool:
        """Whether multiplying takes most of its time, see `WIDE`."""
        return self.embedding_width >= WIDE


def check_size(size: int) -> None:
    """Refuse an input side that the four stages cannot divide.

    Raises:
        ConfigurationError: `size` is not a positive multiple of 32.
    """
    if size < SIZE_MULTIPLE or size % SIZE_MULTIPLE:
        raise ConfigurationError(
            f"the network's input side is {size} pixels; it must be a positive multiple of {SIZE_MULTIPLE}"
        )


def _published(timed_memory: bool) -> dict[str, NetworkConfig]:
    """The four published sizes (SAM 2, appendix D; Meta's released configurations)."""
    return {
        "tiny": NetworkConfig(96, 1, (1, 2, 7, 2), (5, 7, 9), timed_memory=timed_memory),
        "small": NetworkConfig(96, 1, (1, 2, 11, 2), (7, 10, 13), timed_memory=timed_memory),
        "base-plus": NetworkConfig(112, 2, (2, 3, 16, 3), (12, 16, 20), position_grid=14, timed_memory=timed_memory),
        "large": NetworkConfig(144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8), timed_memory=timed_memory),
    }


PRESETS: dict[str, NetworkConfig] = {
    **{f"sam2-hiera-{size}": config for size, config in _published(timed_memory=False).items()},
    **{f"sam2.1-hiera-{size}": config for size, config in _published(timed_memory=True).items()},
    "starter": NetworkConfig(
        embedding_width=48,
        heads=1,
        depths=(1, 2, 4, 1),
        global_blocks=(4, 5, 6, 7),
        windows=(8, 8, 8, 8),
        position_grid=8,
        width=128,
        feedforward=512,
        memory_layers=2,
        drawn_prompts=True,
        consensus=True,
        least_iou=0.05,
        fine_layers=3,
        likeness=True,
        focus=2.5,
        size=128,
    ),
}

Precision = Literal["float32", "bfloat16"]
