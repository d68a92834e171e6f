"""Axes of the config's grids."""

import pytest

from scaling.command import InputError
from scaling.grid import axis


def test_an_axis_is_a_number_a_list_or_equal_steps() -> None:
    assert axis("m", 3) == [3]
    assert axis("initial_bias", "zero") == ["zero"]
    assert axis("m", [1, 2]) == [1, 2]
    assert axis("gamma", {"from": -1, "to": 1, "points": 3}) == [-1.0, 0.0, 1.0]


def test_equal_steps_have_ten_digits_and_an_end_by_name() -> None:
    assert axis("gamma", {"from": -1, "to": 1, "points": 10})[2] == -0.5555555556
    assert axis("activation_density", {"from": 1, "to": "largest", "points": 2}, largest=7.5) == [1.0, 7.5]


def test_an_empty_axis_is_named() -> None:
    with pytest.raises(InputError, match="gamma is empty"):
        axis("gamma", [])
