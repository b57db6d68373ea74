"""The weights that medsam2 knows by name.

Revisions, sizes and SHA-256 sums were taken from public records of the hub and of projects that pin the same files,
two or more where a sum is given; none was computed from a download of our own. What could not be confirmed is None:
then the first download is trusted, its revision and sum are recorded in the cache, and both are held to from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType

from medsam2.errors import CheckpointError
from medsam2.network import NetworkConfig

STARTER = "starter"
"""The weights that come with the package."""


@dataclass(frozen=True)
class WeightsEntry:
    """One published file.

    Attributes:
        name: what users call it.
        repository: `owner/name` on the Hugging Face hub; None for weights that come with the package.
        file: its name there, or in the package.
        preset: the configuration of its network.
        licence: as its authors state it.
        size_mb: in 10^6 bytes; None if unknown.
        revision: the commit it is downloaded at; None if none could be confirmed.
        sha256: of the file; None if none could be confirmed.
        side: the input side in pixels that it was trained at, where that is not the preset's.
        note: what a user should know before trusting it.
    """

    name: str
    repository: str | None
    file: str
    preset: str
    licence: str
    size_mb: float | None = None
    revision: str | None = None
    sha256: str | None = None
    side: int | None = None
    note: str = ""

    @property
    def config(self) -> NetworkConfig:
        """The network that the file holds the weights of."""
        preset = NetworkConfig.preset(self.preset)
        return preset if self.side is None else replace(preset, size=self.side)


_SAM2_NOTE = "Trained on natural images and video (SA-1B, SA-V); no medical data."
_SAM2_FILES: tuple[tuple[str, float, str | None, str], ...] = (
    (
        "sam2-hiera-tiny",
        155.9,
        "7c218beaf0bb87874785f32b582f640134fc1c09",
        "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
    ),
    (
        "sam2-hiera-small",
        184.3,
        "e080ada8afd19df5e165abe71b006edc7f4c3d4e",
        "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
    ),
    (
        "sam2-hiera-base-plus",
        323.5,
        None,
        "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
    ),
    (
        "sam2-hiera-large",
        898.0,
        "e6a8e8809b8f1bfa2238b6d080f3d05cc76bd251",
        "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
    ),
    (
        "sam2.1-hiera-tiny",
        156.0,
        "de431c4043854a71d8101e17995dfe596bf101a5",
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    (
        "sam2.1-hiera-small",
        184.4,
        "ee5bba1d82bb8749febdf90f45e84b687142ba03",
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    (
        "sam2.1-hiera-base-plus",
        323.6,
        "b7320756a13354e7530a63935656d35b2f91a290",
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
    (
        "sam2.1-hiera-large",
        898.1,
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    ),
)


def _sam2(name: str, size_mb: float, revision: str | None, sha256: str) -> WeightsEntry:
    """One of Meta's own checkpoints; the preset has the repository's name."""
    return WeightsEntry(
        name=name,
        repository=f"facebook/{name}",
        file=f"{name.replace('-', '_')}.pt",
        preset=name,
        licence="Apache-2.0",
        size_mb=size_mb,
        revision=revision,
        sha256=sha256,
        note=_SAM2_NOTE,
    )


_BOWANG_NOTE = (
    "MedSAM2 of bowang-lab (arXiv 2504.03600), not MedSAM-2: SAM 2.1 fine-tuned on CT, MR, PET, ultrasound and "
    "endoscopy at 512 pixels. Its repository is tagged CC-BY-SA-4.0, but its text allows research and education only."
)
_BOWANG_FILES: tuple[tuple[str, str, str | None, str], ...] = (
    (
        "bowang-medsam2",
        "MedSAM2_latest.pt",
        "c92743b99f00d078bf32a3afcc38aaa9faf1c1692dffe3eaa7a90938c1991060",
        "The one its authors recommend.",
    ),
    ("bowang-medsam2-2411", "MedSAM2_2411.pt", None, "Base model of November 2024."),
    ("bowang-medsam2-ct-lesion", "MedSAM2_CTLesion.pt", None, "Fine-tuned for lesions on CT."),
    ("bowang-medsam2-mri-liver-lesion", "MedSAM2_MRI_LiverLesion.pt", None, "Fine-tuned for liver lesions on MR."),
    ("bowang-medsam2-us-heart", "MedSAM2_US_Heart.pt", None, "Fine-tuned for heart ultrasound."),
)


def _bowang(name: str, file: str, sha256: str | None, purpose: str) -> WeightsEntry:
    """One of bowang-lab's checkpoints; all lie in one repository at one revision."""
    return WeightsEntry(
        name=name,
        repository="wanglab/MedSAM2",
        file=file,
        preset="sam2.1-hiera-tiny",
        licence="research and education only",
        size_mb=156.0,
        revision="e4a6f35edd7e091619cbc0750f462f1574e23955",
        sha256=sha256,
        side=512,
        note=f"{purpose} {_BOWANG_NOTE}",
    )


_ALL = (
    WeightsEntry(
        name=STARTER,
        repository=None,
        file="starter.safetensors",
        preset=STARTER,
        licence="Apache-2.0",
        size_mb=11.4,
        sha256="3da5a69cb2e08f620cd6436487d9ae11dfe514b3c97880481c716379970af480",
        note="Comes with medsam2; trained on synthetic anatomy only. A start for tests and fine-tuning.",
    ),
    *(_sam2(*row) for row in _SAM2_FILES),
    WeightsEntry(
        name="medsam-2",
        repository="jiayuanz3/MedSAM2_pretrain",
        file="MedSAM2_pretrain.pth",
        preset="sam2-hiera-tiny",
        licence="not stated by its authors",
        size_mb=78.1,
        revision="0197acaea6c400b283361b60e7fdb2f99481bef5",
        sha256="059572b072eff2e41975bf85b0dcca96bc58889db60a89e9f5b1f075236735d7",
        note=(
            "The checkpoint released with MedSAM-2 (arXiv 2408.00874), in bfloat16. It fits the tiny network, not the "
            "small one that its README names. For volumes: users measured a Dice of .03 to .14 on 2-D REFUGE images."
        ),
    ),
    *(_bowang(*row) for row in _BOWANG_FILES),
)

REGISTRY: Mapping[str, WeightsEntry] = MappingProxyType({entry.name: entry for entry in _ALL})
"""Every known weights file by name."""


def find_entry(name: str) -> WeightsEntry:
    """The entry called `name`.

    Raises:
        CheckpointError: no weights have that name.
    """
    if name not in REGISTRY:
        near = get_close_matches(name, REGISTRY, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise CheckpointError(
            f"no weights are called '{name}' and no file is either.{hint} Known: {', '.join(REGISTRY)}"
        )
    return REGISTRY[name]
