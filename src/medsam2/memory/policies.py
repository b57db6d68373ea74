"""Memory policies by name."""

from collections.abc import Callable
from difflib import get_close_matches

from medsam2.errors import ConfigurationError
from medsam2.memory.bank import MemoryBank
from medsam2.memory.fifo import FifoBank
from medsam2.memory.self_sorting import SelfSortingBank

POLICIES: dict[str, Callable[[], MemoryBank]] = {"fifo": FifoBank, "self-sorting": SelfSortingBank}


def new_bank(policy: str) -> MemoryBank:
    """An empty bank of the policy called `policy`.

    Raises:
        ConfigurationError: no policy has that name.
    """
    if policy not in POLICIES:
        near = get_close_matches(policy, POLICIES, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigurationError(f"no memory policy is called '{policy}'; known: {', '.join(POLICIES)}.{hint}")
    return POLICIES[policy]()
