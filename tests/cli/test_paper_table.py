"""`medsam2 evaluate --paper-table` on tiny trees in the paper's layouts."""

import csv

import pytest

from medsam2.cli.app import run
from medsam2.weights import WeightsCard, save_network
from reference.dataset_trees import write_btcv_released, write_folder, write_refuge2


@pytest.fixture
def call(tiny_network, tmp_path, capsys):
    weights = tmp_path / "tiny.safetensors"
    save_network(tiny_network, weights, WeightsCard("tiny", tiny_network.config))

    def evaluate(*flags):
        given = ["evaluate", "--model", weights, "-d", "cpu", "-o", tmp_path / "out", *flags]
        code = run([str(one) for one in given])
        said = capsys.readouterr()
        return code, " ".join(said.out.split()), " ".join(said.err.split())

    return evaluate


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_our_row_beside_the_published_one(call, tmp_path):
    write_btcv_released(tmp_path / "btcv")
    code, said, warned = call("--on", f"btcv:{tmp_path / 'btcv'}", "--split", "test", "--paper-table", "btcv")
    assert code == 0
    assert not warned
    assert "MedSAM-2 0.890 published" in said
    assert "2408.00874" in said
    rows = rows_of(tmp_path / "out" / "paper-btcv.csv")
    assert [row["model"] for row in rows if row["measured"] == "here"] == [
        "boxes -> volume",
        "masks -> volume",
        "clicks -> volume",
    ]
    assert len([row for row in rows if row["measured"] == "published"]) == 13


def test_pictures_of_refuge2_and_a_protocol_of_ones_own(call, tmp_path):
    write_refuge2(tmp_path / "eyes")
    flags = ("--on", f"refuge2:{tmp_path / 'eyes'}", "--paper-table", "refuge2", "--protocol", "mask-set")
    code, _, warned = call(*flags)
    assert code == 0
    assert "no --split was chosen" in warned
    first, *published = rows_of(tmp_path / "out" / "paper-refuge2.csv")
    assert (first["model"], first["measured"]) == ("mask -> set", "here")
    assert [row["mean"] for row in published] == ["0.799"]


def test_another_data_set_does_not_compare(call, tmp_path):
    write_folder(tmp_path / "scans")
    code, _, warned = call("--on", tmp_path / "scans", "--paper-table", "btcv", "--protocol", "box")
    assert code == 0
    assert "what is scored here does not compare with it" in warned


def test_unknown_tables_are_named_before_anything_is_read(call):
    code, _, said = call("--on", "nowhere", "--paper-table", "kits")
    assert code == 2
    assert "there is no paper table 'kits'" in said
