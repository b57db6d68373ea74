"""Cases that are read when they are wanted."""

from medsam2.frames import choose_window
from medsam2.training import case_shelf as module
from medsam2.training.case_shelf import CaseShelf, Extent, areas_of
from training.tiny_runs import case_of, source_of


def sources(reads, count=3):
    return [source_of(f"v{number}", reads, seed=number) for number in range(count)]


def test_cases_are_read_when_wanted_and_the_last_ones_stay():
    reads = []
    shelf = CaseShelf(sources(reads), 2)
    for index in (0, 1, 0, 2, 0, 1):
        assert shelf[index].case.name == f"v{index}"
    assert reads == ["v0", "v1", "v2", "v1"]


def test_the_window_is_chosen_once_a_case(monkeypatch):
    chosen = []
    monkeypatch.setattr(
        module, "choose_window", lambda volume, setting: chosen.append(setting) or choose_window(volume, setting)
    )
    shelf = CaseShelf(sources([]), 3, "full")
    for index in (0, 1, 0, 1):
        assert shelf[index].window.name == "full"
    assert chosen == ["full", "full"]


def test_areas_and_extent_are_those_of_the_frames():
    case = case_of("v0")
    areas = areas_of(case)
    assert {label: area.tolist() for label, area in areas.items()} == {1: [0, 56, 56, 56, 56], 2: [0, 0, 0, 64, 64]}
    assert Extent.of(case, areas) == Extent(64, (24, 20))


def test_how_large_structures_are_is_read_once_and_remembered():
    reads = []
    shelf = CaseShelf(sources(reads), 1, extents={"v1": Extent(7, (9, 9))})
    for index in (0, 1, 2, 0, 1, 2):
        assert shelf.extent(index) == (Extent(7, (9, 9)) if index == 1 else Extent(64, (24, 20)))
    assert reads == ["v0", "v2"]
