import pickle
import re

import pytest

from medsam2.errors import FormatError, InputError
from medsam2.io.dicom_series import SeriesSummary, choose_series, listed, shown


def series(number, slices=30, modality="CT", uid=None, localiser=False):
    uid = f"1.2.3.{number}" if uid is None else uid
    return SeriesSummary(uid, number, modality, (f"{slices} slices of 512 x 512",), slices, localiser)


def test_a_single_series_is_taken_at_once():
    assert choose_series([series(4)], None) == (series(4), [])
    assert choose_series([series(4, slices=1, localiser=True)], None)[0].number == 4


def test_the_only_volume_is_taken_and_the_rest_told():
    study = [series(1, 2, localiser=True), series(2, 300), series(3, 1, "OT")]
    chosen, (told,) = choose_series(study, None)

    assert chosen.number == 2
    assert told == (
        "Of 3 series, the only volume was read: series 2: CT, 300 slices of 512 x 512. "
        "Left out: series 1: CT, 2 slices of 512 x 512; series 3: OT, 1 slices of 512 x 512."
    )


@pytest.mark.parametrize(
    "study",
    [
        [series(2), series(3)],
        [series(2, 1), series(3, 1)],
        [series(2, 1, localiser=True), series(3, 9, localiser=True)],
    ],
)
def test_several_series_need_a_choice(study):
    if all(one.is_localiser for one in study):
        assert choose_series(study, None)[0].number == 3
        return
    with pytest.raises(FormatError, match=r"there are 2 series .*its number or UID.* series 2: CT.*; series 3: CT"):
        choose_series(study, None)


def test_a_series_is_named_by_number_uid_or_its_beginning():
    study = [series(1, uid="1.2.3"), series(2, uid="1.2.34"), series(3, uid="1.9.5"), series(None, uid="1.7")]

    for wanted, number in (("2", 2), (" 3 ", 3), ("1.2.3", 1), ("1.2.34", 2), ("1.9", 3), ("1.7", None), ("1", 1)):
        assert choose_series(study, wanted)[0].number == number
    with pytest.raises(InputError, match=r'2 series with the number or UID "1\.2"; expected one of: series 1: CT'):
        choose_series(study, "1.2")
    with pytest.raises(InputError, match=r'no series .* "9"; .*series without number: CT'):
        choose_series(study, "9")
    with pytest.raises(InputError, match='2 series with the number or UID "1"'):
        choose_series([series(1), series(1, uid="2.3")], "1")


def test_long_lists_end():
    text = listed([str(number) for number in range(45)])

    assert re.fullmatch(r"0; 1; .*19; and 25 more", text)


def test_a_summary_can_be_sent():
    assert pickle.loads(pickle.dumps(series(1))) == series(1)


def test_what_is_damaged_is_not_told():
    assert shown("ORIGINAL\\PRIMARY\\M_FFE") == "ORIGINAL\\PRIMARY\\M_FFE"
    assert shown("SECRET^NAME") == shown("secret") == shown("1" * 200) == "unreadable"
    assert series(1, uid="1.2.SECRET").describe() == "series 1: CT, 30 slices of 512 x 512 (unreadable)"
