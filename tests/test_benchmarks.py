"""The benchmarks run from end to end on tiny studies; what they measure is not tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parent.parent
STUDY = """
toy:
  trainings:
    tiny: {steps: 200, batch_size: 64, warmup_steps: 20}
  experiments:
    decay_sweep:
      - {training: tiny, n: 40, m: [2, 4, 8], gamma: [-0.5, 0.5], alpha: [0, 1], seeds: 1}
    large:
      - {training: tiny, n: 80, frequency_law: linear, m: [4, 8], gamma: [-1, 0.1], seeds: 1}
"""


@pytest.fixture
def study(tmp_path: Path) -> str:
    (tmp_path / "study.yaml").write_text(STUDY)
    return str(tmp_path / "study.yaml")


def output(*command: str) -> str:
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_gpu_times_every_stack_one_curve_and_two_precisions(study: str) -> None:
    found = output("benchmarks.gpu", study, "--steps", "3", "--precision-steps", "120")
    assert len(re.findall(r"^tiny_power_law_n40_m\d_E1 +4 ", found, re.MULTILINE)) == 3
    assert "12 models of n = 40" in found
    assert re.search(r"the curve of n = 80: \d+\.\d times faster", found)
    assert len(re.findall(r"^tiny/power_law_n40_\S+gamma-0.5/m\d_seed0 +\d", found, re.MULTILINE)) == 3


def test_cost_predicts_every_experiment(study: str) -> None:
    found = output("benchmarks.cost", study, "--sample", "3", "--cores", "4")
    assert len(re.findall(r"^timed ", found, re.MULTILINE)) == 6
    assert re.search(r"^decay_sweep +12 +\d", found, re.MULTILINE)
    assert re.search(r"^large +4 +\d", found, re.MULTILINE)
    assert "hours on 4 cores" in found
