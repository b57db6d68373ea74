"""Where the labelled example images lie, and what their labels mean."""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from medsam2.errors import ConfigurationError, FormatError

_FILES = {
    "ct_abdomen_pelvis": ("image.nii.gz", "label.nii.gz"),
    "nuclei2d": ("image.png", "label.png"),
}

EXAMPLE_NAMES = tuple(_FILES)
"""What `example_case` knows."""


@dataclass(frozen=True)
class ExampleCase:
    """One labelled image that comes with the package.

    Attributes:
        name: what it is called.
        image: the scan or picture.
        labels: its label map, on the same grid; 0 is background.
        names: the structure that each label of the map stands for.
        recommended: labels large and well outlined enough to demonstrate or measure with, ascending.
        licence_file: where image and labels come from and under which terms.
    """

    name: str
    image: Path
    labels: Path
    names: dict[int, str]
    recommended: tuple[int, ...]
    licence_file: Path


def example_case(name: str) -> ExampleCase:
    """The example called `name`.

    Example:
        >>> case = example_case("ct_abdomen_pelvis")
        >>> case.image.name, case.names[5]
        ('image.nii.gz', 'liver')

    Raises:
        ConfigurationError: no example has that name.
        FormatError: its files are not on disk.
    """
    if name not in _FILES:
        near = get_close_matches(name, _FILES, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigurationError(f"no example is called '{name}'; known: {', '.join(EXAMPLE_NAMES)}.{hint}")
    folder = _folder(name)
    image, labels = _FILES[name]
    structures = json.loads((folder / "labels.json").read_text(encoding="utf-8"))["labels"]
    return ExampleCase(
        name=name,
        image=folder / image,
        labels=folder / labels,
        names={int(label): structure["name"] for label, structure in structures.items()},
        # Where nothing is said for or against any structure (the nuclei), all are alike.
        recommended=tuple(sorted(int(label) for label, one in structures.items() if one.get("recommended", True))),
        licence_file=folder / "PROVENANCE.md",
    )


def _folder(name: str) -> Path:
    """The folder of an example, which readers of images need as a real path.

    Raises:
        FormatError: the package lies in an archive, or its data are missing.
    """
    folder = Path(str(resources.files("medsam2.examples") / name))
    if not folder.is_dir():
        raise FormatError(
            f"the files of example '{name}' were expected in {folder} and are not there; install medsam2 with pip, "
            "which unpacks it with its data"
        )
    return folder
