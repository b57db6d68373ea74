"""Raw data of nnU-Net: `dataset.json`, `imagesTr/CASE_0000.ENDING` (a file a channel) and `labelsTr/CASE.ENDING`.

`imagesTs` is the test split where `labelsTs` is there, too. The channels of a case are cases of one patient. An
`ignore` label is no structure; a prediction there counts as anywhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from medsam2.datasets.cases import CaseSource
from medsam2.datasets.dataset_json import FILE, channels_of, read_description, structures_of, terms_of
from medsam2.datasets.layout import OWN_TERMS, TEST, TRAINING, Layout, Tree, file_case, nothing_found, visible_files
from medsam2.datasets.structures import Structures

LOOKS_LIKE = "dataset.json, imagesTr/CASE_0000.nii.gz and labelsTr/CASE.nii.gz"

LETTERS = {TRAINING: "Tr", TEST: "Ts"}

_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class _Described:
    """What `dataset.json` says of the files."""

    structures: Structures
    channels: list[str]
    ending: str


def find(root: Path) -> Tree:
    """Training cases, and test cases that have labels.

    Raises:
        FormatError: it is no such folder, or `dataset.json` cannot be read.
    """
    if not (root / FILE).is_file() or not (root / "labelsTr").is_dir():
        raise nothing_found(root, LOOKS_LIKE)
    told = read_description(root)
    how = _Described(structures_of(told, root / FILE), channels_of(told), str(told.get("file_ending", ".nii.gz")))
    trees = [_find_split(root, split, how) for split in LETTERS if (root / f"labels{LETTERS[split]}").is_dir()]
    sources = tuple(source for tree in trees for source in tree.sources)
    problems = [problem for tree in trees for problem in tree.problems]
    expected, count = told.get("numTraining"), len({one.whose for one in sources if one.split == TRAINING})
    if isinstance(expected, int) and expected != count and not problems:
        problems.append(f"{root / FILE}: numTraining is {expected}; {count} cases are there")
    return Tree(sources, tuple(problems), terms_of(told))


def _find_split(root: Path, split: str, how: _Described) -> Tree:
    folder, label_folder = root / f"images{LETTERS[split]}", root / f"labels{LETTERS[split]}"
    images = _images(folder, how.ending)
    labels = {path.name.removesuffix(how.ending): path for path in visible_files(label_folder, f"*{how.ending}")}
    problems = [
        f"{min(images[case].values())}: has no labels; expected {label_folder / f'{case}{how.ending}'}"
        for case in sorted(images.keys() - labels.keys())
    ]
    sources: list[CaseSource] = []
    for case, path in sorted(labels.items()):
        files = images.get(case, {})
        expected = set(range(len(how.channels))) or set(files) or {0}
        problems += [
            f"{path}: has no image; expected {folder / f'{case}_{number:04d}{how.ending}'}"
            for number in sorted(expected - files.keys())
        ]
        if expected <= files.keys():
            sources += _channels(case, {number: files[number] for number in sorted(expected)}, path, how, split)
    return Tree(tuple(sources), tuple(problems))


def _images(folder: Path, ending: str) -> dict[str, dict[int, Path]]:
    """Files by case and number of the channel."""
    found: dict[str, dict[int, Path]] = {}
    for path in visible_files(folder, f"*{ending}"):
        if match := _CHANNEL.fullmatch(path.name.removesuffix(ending)):
            found.setdefault(match[1], {})[int(match[2])] = path
    return found


def _channels(case: str, files: dict[int, Path], labels: Path, how: _Described, split: str) -> list[CaseSource]:
    """One case a channel, all of one patient; a single channel has no name of its own."""
    if len(files) == 1:
        (image,) = files.values()
        return [CaseSource(case, file_case(case, image, labels, how.structures), split=split)]
    found = []
    for number, image in files.items():
        channel = how.channels[number] if how.channels else str(number)
        name = f"{case}-{channel}"
        found.append(CaseSource(name, file_case(name, image, labels, how.structures), case, split, channel))
    return found


NNUNET = Layout("nnunet", "raw data of nnU-Net", "the user's own", OWN_TERMS, LOOKS_LIKE, find)
