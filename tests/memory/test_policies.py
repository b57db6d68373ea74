import pytest

from medsam2.errors import ConfigurationError
from medsam2.memory import POLICIES, FifoBank, SelfSortingBank, new_bank


@pytest.mark.parametrize(("policy", "bank"), [("fifo", FifoBank), ("self-sorting", SelfSortingBank)])
def test_policies_by_name(policy, bank):
    assert type(new_bank(policy)) is bank


@pytest.mark.parametrize("policy", POLICIES)
def test_each_bank_is_new(policy):
    assert new_bank(policy) is not new_bank(policy)


def test_a_near_miss_is_told_the_name():
    with pytest.raises(ConfigurationError, match=r"no memory policy is called 'fifi'.*Did you mean 'fifo'\?"):
        new_bank("fifi")


def test_a_wrong_name_is_told_all_names():
    with pytest.raises(ConfigurationError, match=r"'xyz'; known: fifo, self-sorting\.$"):
        new_bank("xyz")
