from medsam2.evaluation.example_cases import example_set
from medsam2.examples import EXAMPLE_NAMES, example_case


def test_every_example_is_a_case_with_its_recommended_structures():
    cases = {source.name: source.load() for source in example_set().sources}
    assert tuple(cases) == EXAMPLE_NAMES
    scan, picture = cases["ct_abdomen_pelvis"], cases["nuclei2d"]
    assert set(scan.names) <= set(example_case("ct_abdomen_pelvis").recommended)
    assert {"liver", "spleen", "aorta"} <= set(scan.names.values())
    assert scan.is_sequence
    assert not picture.is_sequence
    assert len(picture.names) > 100
