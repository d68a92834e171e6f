"""Time `snakemake -n` on a grid of many toy models.

python -m benchmarks.plan --models 5000
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml


ROOT = Path(__file__).parent.parent


def main() -> None:
    """Print the wall and CPU seconds of the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=5000, help="approximate number of models")
    arguments = parser.parse_args()
    gammas = arguments.models // 100
    grid = {
        "training": "paper",
        "m": [10, 15, 25, 39, 63],
        "alpha": {"from": 0, "to": 2, "points": 20},
        "gamma": {"from": -1, "to": 1, "points": gammas},
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "grid.yaml")
        config.write_text(yaml.safe_dump({"toy": {"experiments": {"decay_sweep": [grid]}}}))
        command = [sys.executable, "-m", "snakemake", "toy", "-n", "--quiet", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", folder, "--configfile", str(ROOT / "config.yaml"), str(config)]
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"plan of {100 * gammas} models and the default study: {wall:.1f} s, {used.ru_utime + used.ru_stime:.1f} s CPU"
    )


if __name__ == "__main__":
    main()
