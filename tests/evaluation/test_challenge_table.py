import csv

import pytest

from medsam2.errors import FormatError
from medsam2.evaluation.challenge_table import HEADINGS, challenge_rows, write_challenge_table
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import StructureScores
from medsam2.evaluation.volume_judging import STRUCTURES_AT_ONCE


def scored(name, *structures):
    """Of each structure Dice and NSD of six answers."""
    rows = []
    for label, (dsc, nsd) in enumerate(structures, start=1):
        values = {f"clicks5_volume_dsc_{n}": one for n, one in enumerate(dsc, start=1)}
        values |= {f"clicks5_volume_nsd_{n}": one for n, one in enumerate(nsd, start=1)}
        values |= {"clicks5_volume": dsc[-1], "clicks5_volume_seconds": 12.0}
        rows.append(StructureScores(name, f"s{label}", label, "axial", 0, 9, values))
    return ScoredCase(name, "i", "l", 9, tuple(rows))


def test_areas_are_trapezoids_over_the_answers_to_clicks():
    case = scored("a", ((0.1, 0.3, 0.5, 0.5, 0.7, 0.9), (0.9, 0.2, 0.4, 0.4, 0.6, 0.8)))
    (row,) = challenge_rows([case])
    assert row.dsc_auc == pytest.approx(0.3 / 2 + 0.5 + 0.5 + 0.7 + 0.9 / 2)
    assert row.nsd_auc == pytest.approx(0.2 / 2 + 0.4 + 0.4 + 0.6 + 0.8 / 2)
    assert row.nsd[0] == 0  # the Dice of the box's answer is not above 0.2
    perfect = scored("b", ((1.0,) * 6, (1.0,) * 6))
    assert challenge_rows([perfect])[0].dsc_auc == 4.0


def test_structures_are_averaged_before_a_poor_dice_voids_the_surface():
    case = scored("a", ((0.0,) * 6, (0.4,) * 6), ((0.6,) * 6, (0.8,) * 6))
    (row,) = challenge_rows([case])
    assert row.dsc == pytest.approx((0.3,) * 6)
    assert row.nsd == pytest.approx((0.6,) * 6)
    assert row.structures == 2


def test_the_time_is_that_of_all_structures_which_went_through_in_chunks():
    case = scored("a", *[((0.5,) * 6, (0.75,) * 6)] * (2 * STRUCTURES_AT_ONCE + 1))
    for number, row in enumerate(case.scores):
        row.values["clicks5_volume_seconds"] = (12.0, 20.0, 3.0)[number // STRUCTURES_AT_ONCE]
    (row,) = challenge_rows([case])
    assert (row.seconds, row.structures) == (35.0, 33)


def test_the_file_has_the_challenge_s_columns(tmp_path):
    rows = challenge_rows([scored("a", ((0.5,) * 6, (0.75,) * 6)), ScoredCase("b", "i", "l", 1, ())])
    write_challenge_table(rows, tmp_path / "out" / "cvpr2025.csv")
    with (tmp_path / "out" / "cvpr2025.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == HEADINGS
    assert (row["CaseName"], row["TotalRunningTime"], row["num_class"]) == ("a", "12.00000", "1")
    assert (row["DSC_AUC"], row["NSD_Final"], row["DSC_6"]) == ("2.00000", "0.75000", "0.50000")


def test_a_table_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match=r"cvpr\.csv: cannot be written"):
        write_challenge_table([], tmp_path / "file" / "cvpr.csv")
