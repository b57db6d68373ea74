import torch

from medsam2.memory import FrozenBank, MemoryOptions, new_bank


def test_a_frozen_bank_answers_and_learns_nothing(entry_of, query_of):
    bank = new_bank("self-sorting", ordered=False)
    bank.add_prompted(entry_of(0, "west"))
    frozen = FrozenBank(bank)
    frozen.add(entry_of(1, "east"))
    frozen.add_prompted(entry_of(2, "east"))
    assert [entry.frame for entry in frozen.select(query_of("east")).entries] == [0]
    assert frozen.carried_over() is frozen


def test_asking_a_frozen_bank_draws_nothing(entry_of, query_of):
    generator = torch.Generator().manual_seed(0)
    bank = new_bank("self-sorting", MemoryOptions(draws=5), generator, ordered=False)
    for frame, direction in enumerate(("east", "north", "northeast")):
        bank.add(entry_of(frame, direction))
    before = generator.get_state()
    asked = [[one.frame for one in FrozenBank(bank).select(query_of()).entries] for _ in range(3)]
    assert asked[0] == asked[1] == asked[2]
    assert torch.equal(generator.get_state(), before)
    bank.select(query_of())
    assert not torch.equal(generator.get_state(), before)
