"""The image encoder compiled by OpenVINO, an optional extra: the same features, sooner, on a processor of x86.

    <cache>/encoders/<key>.blob     one compiled encoder: of these weights, this size, this processor, these versions

What is not in the cache is compiled when a size is first asked for, which takes seconds.
"""

import hashlib
import json
import logging
import platform
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from medsam2 import __version__
from medsam2.errors import ConfigurationError, MissingDependencyError
from medsam2.files import written_whole
from medsam2.network import Sam2Network
from medsam2.network.network import FeatureMaps
from medsam2.weights.cache import cache_directory

if TYPE_CHECKING:
    import openvino

PROCESSORS = ("x86_64", "AMD64")
"""Where it was measured."""

HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}
CAPABILITIES = {torch.float32: "FP32", torch.bfloat16: "BF16"}
"""How OpenVINO calls precisions when it is told, and when it tells what a processor computes in."""

logger = logging.getLogger(__name__)


def openvino_is_installed() -> bool:
    """Whether the extra is there; tells it without importing it."""
    return find_spec("openvino") is not None


def _import_openvino() -> ModuleType:
    """OpenVINO without its telemetry, which would tell a server of each import and use."""
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)  # makes an import of it fail; OpenVINO does without it then
    return import_module("openvino")


class OpenVinoEncoder:
    """Computes `Sam2Network.maps` in inference.

    Args:
        network: on the CPU; its weights must not change any more.
        sha256: of its weights.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        ConfigurationError: the network is not on the CPU.
    """

    def __init__(self, network: Sam2Network, sha256: str) -> None:
        if not openvino_is_installed():
            raise MissingDependencyError(
                "the encoder 'openvino' was asked for, and the package openvino is not installed; "
                "pip install 'medsam2[openvino]', or take the encoder 'torch'"
            )
        if network.device.type != "cpu":
            raise ConfigurationError(
                f"the encoder 'openvino' runs on the CPU, not on '{network.device}'; take the encoder 'torch'"
            )
        self._core = _import_openvino().Core()
        self._network, self._sha256 = network, sha256
        self._requests: dict[int, openvino.InferRequest] = {}
        self._one_at_a_time = Lock()

    @property
    def profits(self) -> bool:
        """Whether it is known to be faster than PyTorch here, for this network in its precision."""
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        computes = platform.machine() in PROCESSORS and CAPABILITIES[self._network.precision] in capabilities
        return computes and self._network.config.is_wide

    def __call__(self, images: Tensor) -> FeatureMaps:
        """Encode (F, 3, S, S), one frame after the other: on a CPU a batch gains nothing."""
        with self._one_at_a_time:
            request = self._of_size(images.shape[-1])
            maps = [list(request.infer([image[None].numpy()]).values()) for image in images.float()]
        stride4, stride8, stride16 = (
            torch.cat([torch.from_numpy(one) for one in each]) for each in zip(*maps, strict=True)
        )
        return stride4, stride8, stride16

    def _of_size(self, size: int) -> "openvino.InferRequest":
        """The encoder for S x S pixels: at hand, from the cache, or new. It keeps what it computes in."""
        if size not in self._requests:
            path = self._path(size)
            compiled = self._read(path) or self._compile(size, path)
            self._requests[size] = compiled.create_infer_request()
        return self._requests[size]

    def _read(self, path: Path) -> "openvino.CompiledModel | None":
        """From the cache; None if it is not there, or cannot be read."""
        with suppress(OSError, RuntimeError):
            return self._core.import_model(path.read_bytes(), "CPU", self._settings())
        return None

    def _compile(self, size: int, path: Path) -> "openvino.CompiledModel":
        logger.info("compiling the encoder for %d pixels", size)
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # that shapes are fixed from now on
            shape = [1, 3, size, size]
            model = _import_openvino().convert_model(
                _Maps(self._network), example_input=torch.zeros(shape), input=shape
            )
        compiled = self._core.compile_model(model, "CPU", self._settings())
        blob = BytesIO()
        compiled.export_model(blob)
        try:
            with written_whole(path) as draft:
                draft.write_bytes(blob.getbuffer())
        except OSError as error:
            logger.warning("the compiled encoder cannot be kept, it will be compiled anew next time: %s", error)
        return compiled

    def _settings(self) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": HINTS[self._network.precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes on one machine would be pinned to the same cores
        }

    def _path(self, size: int) -> Path:
        """In the cache; whatever could make a difference is in its name."""
        identity = {
            "weights": self._sha256,
            "size": size,
            "precision": HINTS[self._network.precision],
            "processor": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            "capabilities": sorted(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "versions": [__version__, version("openvino"), version("torch")],
        }
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return cache_directory() / "encoders" / f"{key[:32]}.blob"


class _Maps(nn.Module):
    """A network of which only the encoder is used."""

    def __init__(self, network: Sam2Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> FeatureMaps:
        """(1, 3, S, S) -> the maps."""
        return self.network.maps(images)
