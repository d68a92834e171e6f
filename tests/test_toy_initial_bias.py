import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling.command import InputError
from scaling.toy.initial_bias import draw_initial_bias, initial_bias_name, parse


@pytest.mark.parametrize(
    ("value", "name"),
    [("normal", "normal"), ("normal1", "normal"), ("normal0.50", "normal0.5"), ("zero", "zero"), (0, "zero"),
     ("0.0", "zero"), ("normal0", "zero"), (-1, "-1"), ("-1.0", "-1"), (1e-5, "0.00001")],
)  # fmt: skip
def test_each_initial_bias_has_one_name(value, name):
    assert initial_bias_name(value) == name
    assert initial_bias_name(name) == name


@pytest.mark.parametrize("value", ["none", "", "normal-1", "nan", "inf", float("nan"), True, None])
def test_what_is_no_initial_bias_is_refused(value):
    with pytest.raises(InputError, match="must be normal, zero, a number"):
        initial_bias_name(value)


@settings(derandomize=True, max_examples=200)
@given(st.floats(-100, 100))
def test_names_keep_six_digits_and_have_no_exponent(value):
    name = initial_bias_name(value)
    assert "e" not in name.replace("zero", "")
    assert parse(name)[0] == pytest.approx(value, rel=1e-5)


def test_draws_have_the_mean_and_the_spread_asked_for():
    draws = {name: draw_initial_bias(name, 1000, np.random.default_rng(0)) for name in ("normal", "normal0.5", "2", 0)}
    np.testing.assert_array_equal(draws["normal"], np.random.default_rng(0).standard_normal(1000, dtype=np.float32))
    np.testing.assert_array_equal(draws["normal0.5"], draws["normal"] / 2)
    assert set(draws["2"]) == {2}
    assert set(draws[0]) == {0}
    assert draws["2"].dtype == np.float32
