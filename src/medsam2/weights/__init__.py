"""Published and own weights: what there is, where it lies, and how it becomes a network."""

from medsam2.weights.cache import cache_directory, fetch, import_file
from medsam2.weights.card import WeightsCard
from medsam2.weights.loading import LoadedNetwork, infer_config, load_network, read_card, save_network
from medsam2.weights.registry import REGISTRY, STARTER, WeightsEntry, find_entry

__all__ = [
    "REGISTRY",
    "STARTER",
    "LoadedNetwork",
    "WeightsCard",
    "WeightsEntry",
    "cache_directory",
    "fetch",
    "find_entry",
    "import_file",
    "infer_config",
    "load_network",
    "read_card",
    "save_network",
]
