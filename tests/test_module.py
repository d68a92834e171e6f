"""Another Snakefile uses this workflow as a module, with its own config and its own targets."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml


ROOT = Path(__file__).parents[1]
SNAKEFILE = f"""
configfile: "study.yaml"


module scaling:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: config


use rule * from scaling as scaling_*


rule mine:
    input:
        "results/tables/toy_models.csv",
    output:
        "mine.txt",
    shell:
        "wc -l {{input}} > {{output}}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with that Snakefile and the config of the smoke study with one small model."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["toy"].pop("interventions", None)
    grid = {"training": "paper", "n": 30, "m": 3, "gamma": -0.5}
    recipe = {"steps": 40, "warmup_steps": 4, "batch_size": 32}
    config["toy"] |= {"held_out_samples": 2048, "trainings": {"paper": recipe}, "experiments": {"sweep": [grid]}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--directory", str(folder), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_rules_of_the_module_make_the_inputs_of_another_rule(folder: Path) -> None:
    done = snakemake(folder, "mine")
    assert done.returncode == 0, done.stderr
    assert (folder / "mine.txt").read_text().startswith("2 ")
    assert "scaling_train_model" in done.stderr


def test_every_target_of_the_module_plans(folder: Path) -> None:
    done = snakemake(folder, "scaling_all", "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stderr


def test_a_wrong_key_is_named_there_as_well(folder: Path) -> None:
    text = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(text.replace("held_out_samples", "held_out_sample"))
    done = snakemake(folder, "mine")
    assert done.returncode == 1
    assert "config: toy: unknown key 'held_out_sample'" in done.stderr
