import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scaling.command import InputError
from scaling.config import merged
from scaling.toy import study
from scaling.toy.cell import Cell
from scaling.toy.study import (
    cells_by_curve,
    distinct_cells,
    experiments,
    grid_cells,
    plain,
    stacks,
    training_arguments,
)


GRID = {"training": "paper", "n": 50, "m": [5, 10], "gamma": [-1, 0.5], "alpha": [0, 1], "seeds": 2}
TOY = {
    "trainings": {"paper": {"steps": 10, "warmup_steps": 1}},
    "experiments": {"sweep": [GRID]},
}


def cell(**changes):
    settings = {"training": "paper", "frequency_law": "power_law", "n": 50, "m": 5, "gamma": -1.0, "alpha": 1.0}
    return Cell(**{**settings, "activation_density": 1.0, "seed": 0, **changes})


def test_grid_is_the_product_of_its_axes():
    cells = grid_cells(GRID)
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 2
    assert {c.m for c in cells} == {5, 10}
    assert {c.seed for c in cells} == {0, 1}


def test_largest_density_makes_the_most_frequent_feature_always_active():
    grid = {"training": "paper", "m": 10, "gamma": -1, "activation_density": {"from": 1, "to": "largest", "points": 2}}
    last = grid_cells(grid)[-1]
    assert last.activation_density == pytest.approx(np.sum(1 / np.arange(1, 1001)))
    assert last.p[0] == pytest.approx(1.0, abs=1e-12)
    assert last.p[0] <= 1.0


def test_a_cell_asked_for_twice_is_trained_once():
    toy = {**TOY, "experiments": {"sweep": [GRID, GRID], "again": [{**GRID, "m": [5, 20]}]}}
    assert len(experiments(toy)["sweep"]) == 16
    assert len(experiments(toy)["again"]) == 16
    assert len(distinct_cells(toy)) == 24


def test_cells_that_would_share_a_file_are_refused():
    toy = {**TOY, "experiments": {"sweep": [{**GRID, "gamma": [0.1, 0.1 + 1e-9]}]}}
    with pytest.raises(InputError, match="share a name"):
        experiments(toy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"m": 51}, "m = 51, n = 50"),
        ({"m": 0}, "m = 0"),
        ({"gamma": float("nan")}, "gamma = nan"),
        ({"gamma": float("inf")}, "gamma = inf"),
        ({"alpha": float("nan")}, "alpha = nan"),
        ({"activation_density": 5.0}, "feature 1 would be active .* the largest activation density E here is 4.49"),
        ({"activation_density": 0.0}, "E = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"learning_rate_factor": 0.0}, "learning_rate_factor = 0"),
        ({"initial_bias": "none"}, "initial_bias = 'none': must be normal, zero, a number"),
        ({"initial_bias": float("nan")}, "initial_bias = nan"),
        ({"frequency_law": "linear"}, "the linear law has no data exponent"),
        ({"frequency_law": "zipf", "alpha": None}, "must be one of power_law"),
    ],
)
def test_cells_that_cannot_be_trained_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        cell(**changes)


def test_errors_of_a_study_name_the_experiment():
    with pytest.raises(InputError, match="experiments: sweep: m = 60"):
        experiments({**TOY, "experiments": {"sweep": [{**GRID, "m": 60}]}})
    with pytest.raises(InputError, match="training 'papr' is not one of paper"):
        experiments({**TOY, "experiments": {"sweep": [{**GRID, "training": "papr"}]}})
    with pytest.raises(InputError, match="trainings: paper: warmup_steps = 20"):
        experiments({**TOY, "trainings": {"paper": {"steps": 10, "warmup_steps": 20}}})
    with pytest.raises(InputError, match="gamma is empty"):
        experiments({**TOY, "experiments": {"sweep": [{**GRID, "gamma": []}]}})


def test_random_streams_follow_from_seed_and_settings_alone():
    def draws(some):
        return [stream.integers(2**60) for stream in some.random_streams()]

    assert draws(cell()) == draws(cell())
    assert len({*draws(cell()), *draws(cell(seed=1)), *draws(cell(m=6)), *draws(cell(gamma=0.5))}) == 12


def test_cells_that_differ_in_initial_bias_alone_are_paired():
    first, second = cell(), cell(initial_bias="zero")
    assert (first.curve, second.curve) == (
        "paper/power_law_n50_alpha1_E1/gamma-1",
        "paper/power_law_n50_alpha1_E1/gamma-1_bias_zero",
    )
    streams = zip(first.random_streams(), second.random_streams(), strict=True)
    assert all(one.integers(2**60) == two.integers(2**60) for one, two in streams)


def test_curves_list_their_cells_in_order_of_width_and_seed():
    curves = cells_by_curve(TOY)
    assert len(curves) == 4
    assert [(c.m, c.seed) for c in curves["paper/power_law_n50_alpha0_E1/gamma-1"]] == [
        (5, 0),
        (5, 1),
        (10, 0),
        (10, 1),
    ]


def test_every_cell_is_in_one_stack():
    toy = {**TOY, "experiments": {"sweep": [GRID], "again": [{**GRID, "m": [5, 20]}]}}
    names = [cell.name for cells in stacks(toy).values() for cell in cells]
    assert sorted(names) == sorted(distinct_cells(toy))


def test_a_stack_pads_no_model_for_another():
    toy = {**TOY, "experiments": {"sweep": [{**GRID, "alpha": [0, 1, 2]}]}}
    for cells in stacks(toy).values():
        assert len({(c.m, c.activation_density, c.learning_rate_factor) for c in cells}) == 1
        assert len({c.alpha for c in cells}) == 3


def test_training_arguments_train_just_the_cells_of_a_stack(tmp_path):
    cells = [c for c in grid_cells({**GRID, "alpha": 1}) if not (c.m == 5 and c.gamma == -1)]
    arguments = training_arguments(cells, TOY)
    assert arguments[arguments.index("--except") + 1 :] == [
        f"paper/power_law_n50_alpha1_E1/gamma-1/m5_seed{k}" for k in (0, 1)
    ]
    command = [sys.executable, "-m", "scaling.toy.training", *arguments, "--folder", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    written = {str(path.relative_to(tmp_path).with_suffix("")) for path in tmp_path.rglob("m*.safetensors")}
    assert written == {cell.name for cell in cells}
    assert shlex.split(shlex.join(arguments)) == arguments
    assert json.loads(json.dumps(TOY)) == TOY


def test_numbers_reach_the_command_line_in_full():
    for value in (-1e-05, 1e-300, -0.5555555556, 1.0, 3, 2.5e22):
        assert "e" not in plain(value)
        assert float(plain(value)) == value
    assert (plain(3), plain(1.0)) == ("3", "1.0")


def test_a_grid_beyond_all_measure_is_refused_before_it_is_made():
    with pytest.raises(InputError, match="more than 100000 models in one grid"):
        grid_cells({**GRID, "gamma": {"from": 0, "to": 1, "points": 10_000}, "seeds": 10_000})


def test_a_model_belongs_to_the_first_stage_that_names_it() -> None:
    grid = {"training": "paper", "n": 40, "m": [4, 8, 16], "gamma": -0.5}
    toy = {"trainings": {"paper": {}}, "experiments": {"one": [grid], "two": [{**grid, "gamma": 0.5}]}}
    stages = {"first": [{**grid, "m": 8}], "rest": ["two", "one"]}
    found = study.stages({**toy, "stages": stages})
    assert [[(cell.gamma, cell.m) for cell in cells] for cells in found.values()] == [
        [(-0.5, 8)],
        [(0.5, 4), (0.5, 8), (0.5, 16), (-0.5, 4), (-0.5, 16)],
    ]
    assert study.stages(toy) == {}
    with pytest.raises(InputError, match="stages: a: no experiment 'three'; the experiments are one, two"):
        study.stages({**toy, "stages": {"a": ["three"]}})
    with pytest.raises(InputError, match=r"stages: a: no experiment trains .*m5_seed0"):
        study.stages({**toy, "stages": {"a": [{**grid, "m": 5}]}})


def test_the_stages_of_the_paper_s_study_are_those_of_make_paper_and_name_every_model() -> None:
    root = Path(__file__).parents[1]
    toy = merged([root / "config.yaml", root / "config" / "paper.yaml"])["toy"]
    found = study.stages(toy)
    assert f"STAGES := {' '.join(found)}\n" in (root / "Makefile").read_text(encoding="utf-8")
    assert sum(map(len, found.values())) == len(study.distinct_cells(toy))
