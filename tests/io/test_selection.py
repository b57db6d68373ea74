from pathlib import Path

import pytest

from medsam2.errors import FormatError, InputError
from medsam2.io.selection import chosen_volume

PATH = Path("scan.nii")


def test_a_single_volume_needs_no_choice():
    assert chosen_volume(PATH, 1, None) == 0
    assert chosen_volume(PATH, 1, 0) == 0


def test_several_volumes_need_one():
    assert chosen_volume(PATH, 20, 19) == 19
    with pytest.raises(FormatError, match=r"scan\.nii is 4-D and has 20 time points .* 0\.\.19"):
        chosen_volume(PATH, 20, None)


@pytest.mark.parametrize("index", [-1, 20])
def test_a_choice_that_is_not_there_is_refused(index):
    with pytest.raises(InputError, match=rf"volume index {index} is not in scan\.nii; expected 0\.\.19"):
        chosen_volume(PATH, 20, index)
