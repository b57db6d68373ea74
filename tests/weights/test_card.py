"""A card survives the way through a file's header."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.errors import CheckpointError, ConfigurationError
from medsam2.network import PRESETS
from medsam2.weights import WeightsCard

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(st.text(), values, max_size=4)


@given(
    name=st.text(),
    config=st.sampled_from(list(PRESETS.values())),
    licence=st.text(),
    training=records,
    data=st.text(),
    scores=records,
    note=st.text(),
)
def test_a_card_is_read_as_it_was_written(**settings):
    card = WeightsCard(**settings)
    assert WeightsCard.from_json(card.to_json()) == card


def card_with(**changes) -> str:
    plain = json.loads(WeightsCard("mine", PRESETS["starter"]).to_json())
    return json.dumps({key: value for key, value in (plain | changes).items() if value != "drop"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "holds no card that medsam2 wrote"),
        ("[]", "holds no card that medsam2 wrote"),
        ("{}", "holds no card that medsam2 wrote"),
        (card_with(format_version=2), "format version 2; this medsam2 reads version 1: update medsam2"),
        (card_with(licence="drop"), "holds no complete card; it has config, data"),
        (card_with(colour="blue"), "holds no complete card"),
        (card_with(config={"embedding_width": 8}), "describes no network .*incomplete network settings"),
        (card_with(config={"wings": 2}), "describes no network .*unknown network setting.*wings"),
        (card_with(config=7), "describes no network"),
    ],
)
def test_other_headers_are_refused(text, message):
    with pytest.raises(CheckpointError, match=message):
        WeightsCard.from_json(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_a_record_that_is_no_json_is_refused(value):
    card = WeightsCard("mine", PRESETS["starter"], training={"loss": value})
    with pytest.raises(ConfigurationError, match="the card of 'mine' cannot be written as JSON"):
        card.to_json()
