"""Memory policies by name."""

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from torch import Generator

from medsam2.errors import ConfigurationError
from medsam2.memory.bank import MemoryBank
from medsam2.memory.confidence import Confidence
from medsam2.memory.fifo import FifoBank
from medsam2.memory.options import MemoryOptions
from medsam2.memory.released import Released
from medsam2.memory.resampling import Resampling
from medsam2.memory.self_sorting import SelfSorting
from medsam2.memory.sorted_bank import SortedBank, SortingPolicy, SortingRule

Part = TypeVar("Part", SortingPolicy, SortingRule, Resampling)

SORTING_POLICIES = {
    "self-sorting": SortingPolicy(SelfSorting(), confidence_threshold=0.5),
    "confidence": SortingPolicy(Confidence()),
    # Four is the batch size of the command in the authors' README: their code draws as many as that.
    "released": SortingPolicy(Released(), capacity=16, resampling=Resampling(weights="softmax", draws=4)),
}
"""Sorting policies with their defaults. The papers state neither K nor c_thresh: 6 is what SAM 2 attends to."""

POLICIES = ("fifo", *SORTING_POLICIES)
"""Names of all policies."""


def new_bank(
    policy: str, options: MemoryOptions | None = None, generator: Generator | None = None, ordered: bool = True
) -> MemoryBank:
    """An empty bank, for one object.

    Args:
        policy: one of `POLICIES`.
        options: what differs from the policy's defaults.
        generator: draws memories where the policy draws; None is the deterministic form. Banks may share it.
        ordered: neighbouring frames show neighbouring places, as in a volume; False for a set of images.

    Raises:
        ConfigurationError: no policy has that name, or it has no use for an option.

    Example:
        >>> from medsam2.memory import MemoryOptions, new_bank
        >>> bank = new_bank("self-sorting", MemoryOptions(capacity=8), ordered=False)
        >>> new_bank("fifo", MemoryOptions(capacity=8))
        Traceback (most recent call last):
        medsam2.errors.ConfigurationError: memory policy 'fifo' has no use for capacity=8; it has no options
    """
    given = (options or MemoryOptions()).given()
    if policy in SORTING_POLICIES:
        return SortedBank(_settled(policy, given), generator, ordered)
    if policy != "fifo":
        near = get_close_matches(policy, POLICIES, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigurationError(f"no memory policy is called '{policy}'; known: {', '.join(POLICIES)}.{hint}")
    _refuse_others(policy, given, set())
    return FifoBank(ordered)


def new_banks(
    count: int, policy: str, options: MemoryOptions | None = None, seed: int | None = None, ordered: bool = True
) -> list[MemoryBank]:
    """Empty banks for several objects, which draw in turn from one generator.

    Args:
        count: of objects.
        policy: see `new_bank`.
        options: see `new_bank`.
        seed: memories are drawn at random from this seed; None: nothing is random.
        ordered: see `new_bank`.

    Raises:
        ConfigurationError: see `new_bank`.
    """
    generator = None if seed is None else Generator().manual_seed(seed)
    return [new_bank(policy, options, generator, ordered) for _ in range(count)]


def _settled(name: str, given: Mapping[str, Any]) -> SortingPolicy:
    """A sorting policy with the given options in place of its defaults."""
    policy = SORTING_POLICIES[name]
    _refuse_others(name, given, _names(policy) | _names(policy.rule) | _names(policy.resampling))
    rule, resampling = _with(policy.rule, given), _with(policy.resampling, given)
    return replace(_with(policy, given), rule=rule, resampling=resampling)


def _names(part: SortingPolicy | SortingRule | Resampling) -> set[str]:
    return {one.name for one in fields(part)}


def _with(part: Part, given: Mapping[str, Any]) -> Part:
    """A part of a policy with those of the options that are its own."""
    return replace(part, **{name: given[name] for name in _names(part) & given.keys()})


def _refuse_others(policy: str, given: Mapping[str, Any], known: set[str]) -> None:
    names = [one.name for one in fields(MemoryOptions) if one.name in known]
    for name, value in given.items():
        if name not in known:
            options = f"its options are {', '.join(names)}" if names else "it has no options"
            raise ConfigurationError(f"memory policy '{policy}' has no use for {name}={value!r}; {options}")
