"""From a name or a file to a network, and back into a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from medsam2.errors import CheckpointError, ConfigurationError
from medsam2.network import PRESETS, NetworkConfig, Sam2Network
from medsam2.weights.cache import check_file, fetch
from medsam2.weights.card import WeightsCard
from medsam2.weights.checkpoint_files import (
    CARD_KEY,
    SUFFIXES,
    Checkpoint,
    FileKind,
    read_checkpoint,
    sha256_of,
    written_whole,
)
from medsam2.weights.fitting import check_fit, fitting_preset
from medsam2.weights.keys import to_our_names
from medsam2.weights.registry import REGISTRY, WeightsEntry, find_entry

PRECISE_KEYS = frozenset({"prompt_encoder.position.frequencies"})
"""Always float32: rounded frequencies would move clicks and boxes, and the sinusoids are computed in float32 anyway."""

STORED_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class LoadedNetwork:
    """A network with its weights.

    Attributes:
        network: in evaluation mode.
        card: what is known of the weights.
        path: the file they came from.
        sha256: its sum, to be recorded beside results.
    """

    network: Sam2Network
    card: WeightsCard
    path: Path
    sha256: str


def load_network(
    name_or_path: str | Path,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> LoadedNetwork:
    """Load weights by a name of the registry, or from a file of Meta's, Hugging Face's or our own, in float32.

    Args:
        name_or_path: such as `"sam2.1-hiera-tiny"` (downloaded if need be) or `"weights.safetensors"`.
        device: where to put the network.
        progress: show a progress bar while downloading.

    Raises:
        CheckpointError: the weights are unknown, out of reach, damaged, or of no network that we know.
    """
    entry, path = _locate(name_or_path, progress)
    checked = None if entry is None else check_file(path, entry)
    card, state = _understand(path, entry)
    _check_values(path, state)
    network = _build(card.config, state, torch.device(device))
    return LoadedNetwork(network, card, path, checked or sha256_of(path))


def read_card(path: Path) -> WeightsCard:
    """What is known of the weights in a file, after checking that they are those of a whole network.

    Raises:
        CheckpointError: as for `load_network`.
    """
    return _understand(path, None)[0]


def infer_config(state: Mapping[str, Tensor]) -> NetworkConfig:
    """The configuration of a network, told from the shapes of its weights under anyone's names.

    Raises:
        CheckpointError: no known network has these weights.
    """
    return PRESETS[fitting_preset(to_our_names(state))]


def save_network(network: Sam2Network, path: Path, card: WeightsCard, dtype: torch.dtype = torch.float16) -> None:
    """Write weights and their card into one `.safetensors` file; an older one is replaced at once or not at all.

    Vectors (norms, biases, gains) stay in float32: they are few, and small gains would vanish in float16.

    Args:
        network: the weights to write.
        path: the file; missing folders are made.
        card: what to say of them; its configuration must be the network's.
        dtype: of the matrices in the file: float16, bfloat16 or float32.

    Raises:
        CheckpointError: the weights are not finite in `dtype`, or the file cannot be written.
        ConfigurationError: the card is another network's, or `dtype` is none of the three.
    """
    if card.config != network.config:
        raise ConfigurationError(f"the card '{card.name}' describes {card.config}, the network is {network.config}")
    if dtype not in STORED_DTYPES:
        raise ConfigurationError(f"weights are stored as {', '.join(map(str, STORED_DTYPES))}; not as {dtype}")
    if SUFFIXES.get(path.suffix.lower()) is not FileKind.SAFETENSORS:
        raise CheckpointError(f"{path} must end in .safetensors")
    state = {key: _stored(key, tensor, dtype) for key, tensor in network.state_dict().items()}
    _check_values(path, state)
    with written_whole(path) as draft:
        save_file(state, draft, metadata={CARD_KEY: card.to_json()})


def _locate(name_or_path: str | Path, progress: bool) -> tuple[WeightsEntry | None, Path]:
    """The registry's entry, if a name was given, and the file."""
    path = Path(name_or_path)
    if str(name_or_path) in REGISTRY:
        return REGISTRY[str(name_or_path)], fetch(str(name_or_path), progress)
    looks_like_file = path.suffix.lower() in SUFFIXES or len(path.parts) > 1 or path.exists()
    if not looks_like_file:
        find_entry(str(name_or_path))
    return None, path


def _understand(path: Path, entry: WeightsEntry | None) -> tuple[WeightsCard, dict[str, Tensor]]:
    """The card and the weights, under our names, of a file; the weights are exactly those of the card's network."""
    checkpoint = read_checkpoint(path)
    try:
        state = to_our_names(checkpoint.state)
        card = _card(checkpoint, state, path, entry)
        check_fit(state, card.config)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return card, state


def _card(checkpoint: Checkpoint, state: Mapping[str, Tensor], path: Path, entry: WeightsEntry | None) -> WeightsCard:
    """The file's own card; else what the registry says; else what the shapes say."""
    if checkpoint.card is not None:
        return WeightsCard.from_json(checkpoint.card)
    if entry is not None:
        return WeightsCard(entry.name, entry.config, licence=entry.licence, note=entry.note)
    return WeightsCard(path.stem, PRESETS[fitting_preset(state)])


def _check_values(path: Path, state: Mapping[str, Tensor]) -> None:
    broken = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f"{path}: {len(broken)} weights are infinite or not numbers, first '{broken[0]}'. A file with such weights "
            "comes from a failed training run, or needs a wider type (bfloat16, float32)"
        )


def _build(config: NetworkConfig, state: Mapping[str, Tensor], device: torch.device) -> Sam2Network:
    """A network with these weights, converted and put on the device without being initialised first."""
    with torch.device("meta"):
        network = Sam2Network(config).float()
    network.to_empty(device=device).load_state_dict(state)
    return network.eval()


def _stored(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    precise = key in PRECISE_KEYS or tensor.ndim <= 1
    return tensor.detach().to("cpu", torch.float32 if precise else dtype, copy=True).contiguous()
