"""What may be chosen about a memory policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal, Self, get_args

from medsam2.errors import ConfigurationError

Weights = Literal["clamp", "shift", "softmax"]
"""How cosines become probabilities, see `medsam2.memory.resampling.probabilities`."""


@dataclass(frozen=True)
class MemoryOptions:
    """What the papers leave open, and what their ablation switches off. None is the policy's own default.

    A policy refuses an option that it has no use for: `fifo` has none; `dissimilar` is for `self-sorting` only.

    Attributes:
        capacity: K, memories kept (6; `released` 16).
        confidence_threshold: c_thresh, [0, 1]: a frame is remembered only if its estimated IoU reaches it. 0 opens the
            gate (`self-sorting` 0.5; else 0).
        dissimilar: keep the K most dissimilar frames; False: the K most recent, a queue (True).
        resample: attend to memories by their similarity to the query; False: to each kept one once (True).
        weights: how cosines become probabilities ("clamp"; `released` "softmax").
        draws: memories that are drawn for a query, with replacement (as many as are kept; `released` 4).
        pin_prompted: prompted frames are never sorted out and always attended to (True).

    Raises:
        ConfigurationError: a value is out of its range, or says how to resample where nothing is resampled.
    """

    capacity: int | None = None
    confidence_threshold: float | None = None
    dissimilar: bool | None = None
    resample: bool | None = None
    weights: Weights | None = None
    draws: int | None = None
    pin_prompted: bool | None = None

    def __post_init__(self) -> None:
        if self.capacity is not None and self.capacity < 1:
            raise ConfigurationError(f"the memory bank's capacity is {self.capacity}; it must be at least 1")
        if self.confidence_threshold is not None and not 0 <= self.confidence_threshold <= 1:
            raise ConfigurationError(f"the confidence threshold is {self.confidence_threshold}; it must lie in [0, 1]")
        if self.weights is not None and self.weights not in get_args(Weights):
            raise ConfigurationError(
                f"the weights are '{self.weights}'; expected one of {', '.join(get_args(Weights))}"
            )
        if self.draws is not None and self.draws < 1:
            raise ConfigurationError(f"{self.draws} memories are to be drawn; expected at least 1")
        if self.resample is False and (self.weights is not None or self.draws is not None):
            raise ConfigurationError("resample is off, yet weights or draws are given; leave them out, or resample")

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Options as they are typed: `name=value`, truth as true or false.

        Raises:
            ConfigurationError: there is no such option, or the value is none for it.

        Example:
            >>> MemoryOptions.parse(["capacity=8", "resample=false"]).given()
            {'capacity': 8, 'resample': False}
        """
        given: dict[str, Any] = {}
        for text in texts:
            name, _, value = (part.strip() for part in text.partition("="))
            if name not in READERS:
                near = get_close_matches(name, READERS, 1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                raise ConfigurationError(
                    f"memory option '{text}': expected name=value; the names are {', '.join(READERS)}.{hint}"
                )
            try:
                given[name] = READERS[name](value)
            except (KeyError, ValueError) as error:
                raise ConfigurationError(f"memory option '{text}': '{value}' is no value of {name}") from error
        return cls(**given)

    def given(self) -> dict[str, Any]:
        """The options that were chosen, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


READERS: Mapping[str, Callable[[str], Any]] = {
    "capacity": int,
    "confidence_threshold": float,
    "dissimilar": _truth,
    "resample": _truth,
    "weights": str,
    "draws": int,
    "pin_prompted": _truth,
}
"""How each option is read from text."""
