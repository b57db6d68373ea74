"""Mask prompts from a label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import PromptError
from medsam2.prompts.prompt_types import MaskArray, MaskPrompt, ObjectPrompts


def objects_from_label_map(labels: NDArray[Any], names: Mapping[int, str] | None = None) -> list[ObjectPrompts]:
    """Make an object of each value of a label map except 0.

    Args:
        labels: (D, H, W) whole numbers in the axes of the volume's array; bool, integer or float.
        names: Name of each label; others are "object" and the label.

    Returns:
        The objects by ascending label, each with one mask.

    Raises:
        PromptError: The map is empty, or a value cannot be a label.

    Example:
        >>> objects_from_label_map(np.array([[[0, 2, 2]]]), {2: "spleen"})[0].title
        "object 'spleen' (label 2)"
    """
    by_slice = [np.unique(part) for part in labels]
    values = np.unique(np.concatenate(by_slice))
    if not (np.isfinite(values).all() and np.array_equal(values, np.floor(values))):
        raise PromptError(
            "the label map holds values that are not whole numbers; expected labels 1..65535 and 0 for "
            "background. It may be a scan or a probability map."
        )
    found = [int(value) for value in values if value != 0]
    if not found:
        raise PromptError("the label map is empty (all 0); mark each object with a label of 1 or more.")
    known = names or {}
    objects = []
    for label in found:
        slices = [number for number, there in enumerate(by_slice) if label in there]
        mask = MaskPrompt(_mask_of(labels, label, slices))
        objects.append(ObjectPrompts(known.get(label, f"object {label}"), label, masks=(mask,)))
    return objects


def _mask_of(labels: NDArray[Any], label: int, slices: Sequence[int]) -> MaskArray:
    """Where a label is: on few slices, these alone are written, as the system finds memory for no other part of zeros.

    So a slice on which a hundred structures are drawn does not cost a hundred volumes.
    """
    mask: MaskArray
    if 2 * len(slices) > len(labels):
        mask = labels == label
        return mask
    mask = np.zeros(labels.shape, np.bool_)
    for number in slices:
        mask[number] = labels[number] == label
    return mask
