import pytest

from medsam2.errors import ConfigurationError
from medsam2.memory import POLICIES, FifoBank, MemoryOptions, new_bank
from medsam2.memory.confidence import Confidence
from medsam2.memory.released import Released
from medsam2.memory.resampling import Resampling
from medsam2.memory.self_sorting import SelfSorting
from medsam2.memory.sorted_bank import SortingPolicy

SORTING = [name for name in POLICIES if name != "fifo"]


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("self-sorting", SortingPolicy(SelfSorting(), 6, 0.5, True, Resampling(True, "clamp", None))),
        ("confidence", SortingPolicy(Confidence(), 6, 0.0, True, Resampling(True, "clamp", None))),
        ("released", SortingPolicy(Released(), 16, 0.0, True, Resampling(True, "softmax", 4))),
    ],
)
def test_policies_and_their_defaults(name, policy):
    assert new_bank(name).policy == policy
    assert new_bank(name, MemoryOptions()).policy == policy


def test_fifo_by_name():
    assert type(new_bank("fifo")) is FifoBank


def test_names():
    assert POLICIES == ("fifo", "self-sorting", "confidence", "released")


@pytest.mark.parametrize("policy", POLICIES)
def test_each_bank_is_new(policy):
    assert new_bank(policy) is not new_bank(policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("ordered", [True, False])
def test_every_bank_is_told_whether_frames_have_an_order(policy, ordered):
    assert new_bank(policy, ordered=ordered).ordered is ordered
    assert new_bank(policy).ordered


def test_options_take_the_place_of_defaults():
    options = MemoryOptions(capacity=3, confidence_threshold=0.0, dissimilar=False, resample=False, pin_prompted=False)

    policy = new_bank("self-sorting", options).policy

    assert policy == SortingPolicy(SelfSorting(dissimilar=False), 3, 0.0, False, Resampling(resample=False))


@pytest.mark.parametrize("policy", SORTING)
def test_options_of_all_sorting_policies(policy, generator):
    options = MemoryOptions(
        capacity=3, confidence_threshold=0.2, resample=True, weights="shift", draws=5, pin_prompted=False
    )

    bank = new_bank(policy, options, generator)

    assert bank.generator is generator
    assert bank.policy.resampling == Resampling(True, "shift", 5)
    assert (bank.policy.capacity, bank.policy.confidence_threshold, bank.policy.pin_prompted) == (3, 0.2, False)


def test_one_option_leaves_the_others_of_the_policy():
    policy = new_bank("released", MemoryOptions(pin_prompted=False)).policy

    assert (policy.capacity, policy.resampling) == (16, Resampling(True, "softmax", 4))


@pytest.mark.parametrize("policy", ["confidence", "released"])
@pytest.mark.parametrize("dissimilar", [True, False])
def test_dissimilarity_is_for_the_self_sorting_bank(policy, dissimilar):
    message = (
        f"'{policy}' has no use for dissimilar={dissimilar}; its options are capacity, confidence_threshold, resample, "
    )
    with pytest.raises(ConfigurationError, match=message):
        new_bank(policy, MemoryOptions(dissimilar=dissimilar))


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ({"capacity": 6}, "capacity=6"),
        ({"weights": "clamp"}, "weights='clamp'"),
        ({"resample": False}, "resample=False"),
    ],
)
def test_fifo_has_no_options(option, shown):
    with pytest.raises(ConfigurationError, match=f"'fifo' has no use for {shown}; it has no options"):
        new_bank("fifo", MemoryOptions(**option))


def test_a_near_miss_is_told_the_name():
    with pytest.raises(ConfigurationError, match=r"no memory policy is called 'fifi'.*Did you mean 'fifo'\?"):
        new_bank("fifi")


def test_a_wrong_name_is_told_all_names():
    with pytest.raises(ConfigurationError, match=r"'xyz'; known: fifo, self-sorting, confidence, released\.$"):
        new_bank("xyz")
