"""Stand-ins for published checkpoints: the right keys and shapes, no values to speak of."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import Tensor

from medsam2.network import PRESETS, NetworkConfig
from medsam2.weights import REGISTRY, STARTER, WeightsEntry

MEMORY = 64
SCALED_UP = (1, 4, 16, 64, 256)


def layer(stem: str, *weight: int) -> dict[str, tuple[int, ...]]:
    """A layer's weight and its bias, one number for each row of the weight."""
    return {f"{stem}.weight": weight, f"{stem}.bias": weight[:1]}


def perceptron(stem: str, *widths: int) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        shapes |= layer(f"{stem}.layers.{index}", after, before)
    return shapes


def attention(stem: str, width: int, inner: int, key: int) -> dict[str, tuple[int, ...]]:
    shapes = layer(f"{stem}.q_proj", inner, width) | layer(f"{stem}.out_proj", width, inner)
    return shapes | layer(f"{stem}.k_proj", inner, key) | layer(f"{stem}.v_proj", inner, key)


def trunk(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    stem, width = "image_encoder.trunk", config.embedding_width
    shapes = {f"{stem}.pos_embed": (1, width, config.position_grid, config.position_grid)}
    shapes |= {f"{stem}.pos_embed_window": (1, width, config.windows[0], config.windows[0])}
    shapes |= layer(f"{stem}.patch_embed.proj", width, 3, 7, 7)
    stages = [stage for stage, depth in enumerate(config.depths) for _ in range(depth)]
    before = width
    for number, stage in enumerate(stages):
        block, after = f"{stem}.blocks.{number}", width * 2**stage
        shapes |= layer(f"{block}.norm1", before) | layer(f"{block}.norm2", after)
        shapes |= layer(f"{block}.attn.qkv", 3 * after, before) | layer(f"{block}.attn.proj", after, after)
        shapes |= perceptron(f"{block}.mlp", after, 4 * after, after)
        if before != after:
            shapes |= layer(f"{block}.proj", after, before)
        before = after
    for index in range(4):
        shapes |= layer(f"image_encoder.neck.convs.{index}.conv", config.width, width * 2 ** (3 - index), 1, 1)
    return shapes


def prompt_encoder(width: int) -> dict[str, tuple[int, ...]]:
    stem = "sam_prompt_encoder"
    shapes = {f"{stem}.pe_layer.positional_encoding_gaussian_matrix": (2, width // 2)}
    for name in (*(f"point_embeddings.{kind}" for kind in range(4)), "not_a_point_embed", "no_mask_embed"):
        shapes[f"{stem}.{name}.weight"] = (1, width)
    shapes |= layer(f"{stem}.mask_downscaling.0", 4, 1, 2, 2) | layer(f"{stem}.mask_downscaling.1", 4)
    shapes |= layer(f"{stem}.mask_downscaling.3", 16, 4, 2, 2) | layer(f"{stem}.mask_downscaling.4", 16)
    return shapes | layer(f"{stem}.mask_downscaling.6", width, 16, 1, 1)


def mask_decoder(width: int, feedforward: int) -> dict[str, tuple[int, ...]]:
    stem, half = "sam_mask_decoder", width // 2
    shapes = {f"{stem}.{name}.weight": (1, width) for name in ("iou_token", "obj_score_token")}
    shapes[f"{stem}.mask_tokens.weight"] = (4, width)
    for index in range(2):
        block = f"{stem}.transformer.layers.{index}"
        shapes |= attention(f"{block}.self_attn", width, width, width)
        shapes |= attention(f"{block}.cross_attn_token_to_image", width, half, width)
        shapes |= attention(f"{block}.cross_attn_image_to_token", width, half, width)
        shapes |= perceptron(f"{block}.mlp", width, feedforward, width)
        for norm in (1, 2, 3, 4):
            shapes |= layer(f"{block}.norm{norm}", width)
    shapes |= attention(f"{stem}.transformer.final_attn_token_to_image", width, half, width)
    shapes |= layer(f"{stem}.transformer.norm_final_attn", width)
    shapes |= {f"{stem}.output_upscaling.0.weight": (width, width // 4, 2, 2)}
    shapes |= {f"{stem}.output_upscaling.3.weight": (width // 4, width // 8, 2, 2)}
    shapes |= {f"{stem}.output_upscaling.0.bias": (width // 4,), f"{stem}.output_upscaling.3.bias": (width // 8,)}
    shapes |= layer(f"{stem}.output_upscaling.1", width // 4)
    shapes |= layer(f"{stem}.conv_s0", width // 8, width, 1, 1) | layer(f"{stem}.conv_s1", width // 4, width, 1, 1)
    for candidate in range(4):
        shapes |= perceptron(f"{stem}.output_hypernetworks_mlps.{candidate}", width, width, width, width // 8)
    shapes |= perceptron(f"{stem}.iou_prediction_head", width, 256, 256, 4)
    return shapes | perceptron(f"{stem}.pred_obj_score_head", width, width, width, 1)


def memory(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    width = config.width
    shapes = layer("memory_attention.norm", width)
    for index in range(config.memory_layers):
        block = f"memory_attention.layers.{index}"
        shapes |= attention(f"{block}.self_attn", width, width, width)
        shapes |= attention(f"{block}.cross_attn_image", width, width, MEMORY)
        shapes |= layer(f"{block}.linear1", config.feedforward, width)
        shapes |= layer(f"{block}.linear2", width, config.feedforward)
        for norm in (1, 2, 3):
            shapes |= layer(f"{block}.norm{norm}", width)
    stem = "memory_encoder"
    for step, (before, after) in enumerate(itertools.pairwise(SCALED_UP)):
        shapes |= layer(f"{stem}.mask_downsampler.encoder.{3 * step}", after, before, 3, 3)
        shapes |= layer(f"{stem}.mask_downsampler.encoder.{3 * step + 1}", after)
    shapes |= layer(f"{stem}.mask_downsampler.encoder.12", width, SCALED_UP[-1], 1, 1)
    for index in range(2):
        block = f"{stem}.fuser.layers.{index}"
        shapes |= layer(f"{block}.dwconv", width, 1, 7, 7) | layer(f"{block}.norm", width)
        shapes |= layer(f"{block}.pwconv1", 4 * width, width) | layer(f"{block}.pwconv2", width, 4 * width)
        shapes[f"{block}.gamma"] = (width,)
    return shapes | layer(f"{stem}.pix_feat_proj", width, width, 1, 1) | layer(f"{stem}.out_proj", MEMORY, width, 1, 1)


def rest(width: int, timed: bool) -> dict[str, tuple[int, ...]]:
    shapes = {
        "maskmem_tpos_enc": (7, 1, 1, MEMORY),
        "no_mem_embed": (1, 1, width),
        "no_mem_pos_enc": (1, 1, width),
        "no_obj_ptr": (1, width),
    }
    shapes |= layer("mask_downsample", 1, 1, 4, 4) | perceptron("obj_ptr_proj", width, width, width, width)
    if timed:
        shapes |= layer("obj_ptr_tpos_proj", MEMORY, width) | {"no_obj_embed_spatial": (1, MEMORY)}
    return shapes


def shapes_at_meta(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """The complete keys and shapes of Meta's checkpoint of a network (checked against Meta's own code once)."""
    width = config.width
    parts = (trunk(config), prompt_encoder(width), mask_decoder(width, config.feedforward), memory(config))
    return {key: shape for part in (*parts, rest(width, config.timed_memory)) for key, shape in part.items()}


@pytest.fixture(scope="session")
def meta_shapes() -> Callable[[NetworkConfig], dict[str, tuple[int, ...]]]:
    return shapes_at_meta


@pytest.fixture(scope="session")
def hollow_meta_state() -> Callable[[NetworkConfig], dict[str, Tensor]]:
    """Meta's checkpoint of a network: zeros that take no memory."""

    def build(config: NetworkConfig) -> dict[str, Tensor]:
        return {key: torch.zeros(()).expand(shape) for key, shape in shapes_at_meta(config).items()}

    return build


@pytest.fixture(scope="session")
def random_meta_state() -> Callable[[NetworkConfig], dict[str, Tensor]]:
    """Meta's checkpoint of a (small) network with random values."""

    def build(config: NetworkConfig) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)
        shapes = shapes_at_meta(config)
        return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}

    return build


@dataclass
class HubStandIn:
    """A server on this machine that answers as the hub does.

    Attributes:
        files: content by (repository, revision, file).
        asked: the paths that were asked for.
    """

    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def find(self, path: str) -> tuple[str, bytes] | None:
        """The commit and the content that `path` stands for; 'main' is the newest commit."""
        repository, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        for (owner, commit, file), content in reversed(self.files.items()):
            if (owner, file) == (repository, name) and revision in (commit, "main"):
                return commit, content
        return None


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """A local stand-in for the hub, which downloads go to for the time of a test."""
    stand_in = HubStandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            stand_in.asked.append(self.path)
            found = stand_in.find(self.path)
            if found is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            commit, content = found
            self.send_response(200)
            if commit:
                self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def checkpoint(tmp_path: Path, random_meta_state, tiny_network) -> Path:
    """A checkpoint as Meta writes them, of the smallest network."""
    path = tmp_path / "published.pt"
    torch.save({"model": random_meta_state(tiny_network.config)}, path)
    return path


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch, checkpoint: Path, tiny_network) -> dict[str, WeightsEntry]:
    """A registry of two published files of the smallest network: one with known sum and commit, one without."""
    monkeypatch.setitem(PRESETS, "smallest", tiny_network.config)
    known = WeightsEntry(
        name="known",
        repository="someone/weights",
        file="known.pt",
        preset="smallest",
        licence="MIT",
        size_mb=1.5,
        revision="a" * 40,
        sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        note="For tests.",
    )
    unknown = replace(known, name="unknown", file="unknown.pt", revision=None, sha256=None)
    found = {"known": known, "unknown": unknown, STARTER: REGISTRY[STARTER]}
    for module in ("weights.registry", "weights.loading", "cli.weights"):
        monkeypatch.setattr(f"medsam2.{module}.REGISTRY", found)
    return found
