import zlib

import numpy as np
import pytest

from medsam2.errors import ConfigurationError
from medsam2.evaluation.protocol_options import ProtocolOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0}, "the share to be prompted is 0; expected more than 0"),
        ({"share": 1.5}, "the share to be prompted is 1.5"),
        ({"templates": 0}, "0 templates were asked for"),
        ({"seed": -1}, "the seed is -1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigurationError, match=message):
        ProtocolOptions(**options)


def test_draws_depend_on_seed_case_and_structure_alone():
    def drawn(seed, name, label):
        return ProtocolOptions(seed=seed).generator(name, label).random()

    assert drawn(0, "a", 1) == drawn(0, "a", 1)
    assert len({drawn(0, "a", 1), drawn(1, "a", 1), drawn(0, "b", 1), drawn(0, "a", 2)}) == 4
    assert drawn(0, "a", 1) == np.random.default_rng([0, zlib.crc32(b"a"), 1]).random()
    assert drawn(0, "M\udcfcller", 1) != drawn(0, "M\udcf6ller", 1)  # file names need not be Unicode
