"""What a weights file says about itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from medsam2.errors import CheckpointError, ConfigurationError
from medsam2.network import NetworkConfig

FORMAT_VERSION = 1
"""Raised when a file written by a newer medsam2 can no longer be read by an older one."""


@dataclass(frozen=True)
class WeightsCard:
    """Where weights come from and what may be done with them.

    Attributes:
        name: what they are called.
        config: the network that they belong to.
        licence: under which terms they may be used, as their authors state it.
        training: the record of the training run (recipe, steps, seed, versions), if known.
        data: what they were trained on.
        scores: what they were measured to achieve, and on what, if known.
        note: what a user should know before trusting them.
    """

    name: str
    config: NetworkConfig
    licence: str = "unknown"
    training: Mapping[str, Any] = field(default_factory=dict)
    data: str = "unknown"
    scores: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def to_json(self) -> str:
        """One line of JSON, for a file's header.

        Raises:
            ConfigurationError: the training record or the scores hold what JSON cannot.
        """
        plain = {"format_version": FORMAT_VERSION, **asdict(self), "config": self.config.to_dict()}
        try:
            return json.dumps(plain, allow_nan=False, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"the card of '{self.name}' cannot be written as JSON: {error}. Its training record and scores take "
                "text, finite numbers, lists and dictionaries"
            ) from error

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`.

        Raises:
            CheckpointError: the text is no card, or that of a newer medsam2.
        """
        try:
            plain = json.loads(text)
            version = plain.pop("format_version")
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise CheckpointError(f"the header holds no card that medsam2 wrote ({error})") from error
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"the header has format version {version}; this medsam2 reads version {FORMAT_VERSION}: update medsam2"
            )
        if plain.keys() != {one.name for one in fields(cls)}:
            raise CheckpointError(f"the header holds no complete card; it has {', '.join(sorted(plain)) or 'nothing'}")
        try:
            config = NetworkConfig.from_dict(plain.pop("config"))
        except (ConfigurationError, TypeError, AttributeError) as error:
            raise CheckpointError(f"the header describes no network that this medsam2 knows: {error}") from error
        return cls(config=config, **plain)
