from medsam2.memory import FrozenBank, new_bank


def test_a_frozen_bank_answers_and_learns_nothing(entry_of, query_of):
    bank = new_bank("self-sorting", ordered=False)
    bank.add_prompted(entry_of(0, "west"))
    frozen = FrozenBank(bank)
    frozen.add(entry_of(1, "east"))
    frozen.add_prompted(entry_of(2, "east"))
    assert [entry.frame for entry in frozen.select(query_of("east")).entries] == [0]
    assert frozen.carried_over() is frozen
