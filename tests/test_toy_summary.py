"""What a config trains, in words: as many models and the settings that its grids give."""

import pytest

from scaling.command import InputError
from scaling.toy.summary import listed, trained


RECIPE = {"steps": 100, "batch_size": 32, "warmup_steps": 10}


def test_a_line_says_what_an_experiment_trains() -> None:
    grids = [
        {"training": "paper", "m": [4, 6], "gamma": [-0.5555555556], "alpha": [0, 1], "n": 60, "seeds": 2},
        {"training": "paper", "m": 10, "gamma": {"from": -1, "to": 1, "points": 9}, "n": 60},
    ]
    toy = {"trainings": {"paper": RECIPE}, "experiments": {"sweep": grids}}
    assert trained(toy) == {
        "sweep": "17 models; power law frequencies; n = 60; m = 4, 6, 10; γ = −1 to 1 (10 values); α = 0, 1; E = 1; "
        "recipe paper (100 steps of 32 samples)"
    }


def test_laws_without_alpha_and_other_learning_rates() -> None:
    grid = {"training": "large", "m": 4, "gamma": 0.1, "n": 12000, "frequency_law": ["linear", "exponential"]}
    toy = {"trainings": {"large": RECIPE}, "experiments": {"one": [grid | {"learning_rate_factor": [1, 2]}]}}
    assert trained(toy)["one"].startswith(
        "4 models; exponential and linear frequencies; n = 12000; m = 4; γ = 0.1; E = 1; learning rate × 1, 2;"
    )
    alone = {"trainings": {"large": RECIPE}, "experiments": {"one": [grid | {"frequency_law": "linear"}]}}
    assert trained(alone)["one"].startswith("1 model; linear frequencies;")


def test_many_settings_are_their_ends() -> None:
    assert listed([3, 1, 2, 2]) == "1, 2, 3"
    assert listed(range(17)) == "0 to 16 (17 values)"


def test_a_config_that_cannot_be_trained_is_named() -> None:
    grid = {"training": "paper", "m": 4, "gamma": 1}
    with pytest.raises(InputError, match="training 'paper' is not one of large"):
        trained({"trainings": {"large": RECIPE}, "experiments": {"one": [grid]}})
