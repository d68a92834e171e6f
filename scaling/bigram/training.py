"""Train bigram models by L-BFGS on the exact loss; one safetensors file per model holds A, W, b and a record.

    python -m scaling.bigram.training --matrix random --law random --n 256 --m 4 8 16 --gamma 0 --folder models

trains the given widths on one CPU thread. The counted laws take --counts, from scaling.bigram.counts.
"""

import argparse
import json
import logging
import time
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from threadpoolctl import threadpool_limits

from scaling import arrays
from scaling.bigram import matrices
from scaling.bigram.matrices import Matrix
from scaling.bigram.model import Target, Weights, objective
from scaling.bigram.study import LAWS, Cell, MatrixSettings
from scaling.command import InputError, run


MEMORY = 10  # pairs of steps and gradients in L-BFGS
# For gamma < 0 the optimized variable is A/CONTEXT_SCALE: if rows of W have norm 1, rows of A grow to 10 and more.
CONTEXT_SCALE = 10.0


@dataclass(frozen=True)
class Trained:
    """The weights, the objective at each iteration (iterations,), and the final norm of its gradient."""

    weights: Weights
    history: NDArray[np.float64]
    gradient_norm: float
    evaluations: int

    @property
    def change_last_tenth(self) -> float:
        """Decrease of the objective over the last tenth of the iterations, in nats."""
        return float(self.history[int(0.9 * (len(self.history) - 1))] - self.history[-1])


def initial_weights(matrix: Matrix, cell: Cell) -> Weights:
    """Return A, W ~ N(0, 1/m) and b = log c, with c the frequencies of next tokens; float64."""
    rng = np.random.default_rng([cell.seed, zlib.crc32(cell.name.encode())])
    A, W = rng.standard_normal((2, matrix.n, cell.m)) / np.sqrt(cell.m)
    return Weights(W if cell.tied else A, W, np.log(matrix.next_frequency))


def flat(weights: Weights, tied: bool) -> NDArray[np.float64]:
    """Return the weights as one vector, without A for a tied model."""
    parts = [] if tied else [weights.A.ravel()]
    return np.concatenate([*parts, weights.W.ravel(), weights.b], dtype=np.float64)


def unflat(vector: NDArray[np.float64], n: int, m: int, tied: bool) -> Weights:
    """The inverse of `flat`."""
    W = vector[-n - n * m : -n].reshape(n, m)
    A = W if tied else vector[: n * m].reshape(n, m)
    return Weights(A, W, vector[-n:])


def units(matrix: Matrix, cell: Cell) -> NDArray[np.float64]:
    """Return the units of the weights: weights = units x optimized variables; a vector in the order of `flat`.

    (n r_x)^(-1/4) for row x of A and (n c_y)^(-1/4) for row y of W and b_y: the curvature of the loss is
    proportional to r_x and c_y. L-BFGS converges several times faster with this partial rescaling.
    """
    ones = np.ones((matrix.n, cell.m))
    by_context, by_next = (matrix.n * matrix.r) ** -0.25, (matrix.n * matrix.next_frequency) ** -0.25
    context_scale = CONTEXT_SCALE if cell.gamma < 0 else 1.0
    return flat(Weights(context_scale * by_context[:, None] * ones, by_next[:, None] * ones, by_next), cell.tied)


def train(matrix: Matrix, cell: Cell, dtype: type[np.floating] = np.float32) -> Trained:
    """Minimize excess + R(W) by L-BFGS from the initial weights, with at most cell.iterations iterations.

    Products use `dtype`, everything else float64. The norm of the gradient refers to the optimized variables.
    """
    target = Target.of(matrix, dtype)
    n, m, tied = matrix.n, cell.m, cell.tied
    unit = units(matrix, cell)

    def value_and_gradient(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = objective(target, unflat(unit * vector, n, m, tied), cell.gamma, tied)
        return value, unit * flat(gradient, tied)

    history: list[float] = []
    result = optimize.minimize(
        value_and_gradient,
        flat(initial_weights(matrix, cell), tied) / unit,
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: history.append(float(intermediate_result.fun)),
        options={"maxiter": cell.iterations, "maxfun": 2 * cell.iterations, "maxcor": MEMORY, "ftol": 0, "gtol": 0},
    )
    return Trained(
        weights=unflat(unit * result.x, n, m, tied),
        history=np.array(history or [result.fun]),
        gradient_norm=float(np.linalg.norm(result.jac)),
        evaluations=int(result.nfev),
    )


def save(cell: Cell, trained: Trained, seconds: float, path: Path) -> None:
    """Write the weights in float32 and the record of the training atomically."""
    record: dict[str, Any] = {
        "model": cell.name,
        **asdict(cell),
        "iterations": len(trained.history),
        "evaluations": trained.evaluations,
        "objective": float(trained.history[-1]),
        "gradient_norm": trained.gradient_norm,
        "change_last_tenth": trained.change_last_tenth,
        "seconds": seconds,
    }
    weights = {"W": trained.weights.W, "b": trained.weights.b}
    if not cell.tied:
        weights["A"] = trained.weights.A
    tensors = {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays.write(path, tensors, {"record": json.dumps(record)})


def read_matrix(settings: MatrixSettings, counts: Path | None) -> Matrix:
    """Return the matrix of the settings; a counted law reads the file `counts`."""
    return matrices.build(settings, matrices.read_counts(counts) if counts and settings.is_counted else None)


def arguments_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line: the matrix, the models, and the output folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrix", required=True, help="name of the matrix, the first part of each model's path")
    parser.add_argument("--law", choices=LAWS, required=True, help="law of the matrix")
    parser.add_argument("--counts", type=Path, help="bigram counts of a text, for the laws text, smoothed, shuffled")
    parser.add_argument("--vocabulary", type=int, help="tokens of the tokenizer of the counts")
    parser.add_argument("--n", type=int, help="tokens, for the other laws")
    parser.add_argument("--alpha", type=float, default=1.0, help="exponent of their frequencies r_i ~ i^-alpha")
    parser.add_argument("--blocks", type=int, default=16, help="number of blocks of the law blocks")
    parser.add_argument("--successors", type=int, default=8, help="successors of each token in the law sparse")
    parser.add_argument("--exponent", type=float, default=1.0, help="log P has singular values k^-exponent (spectrum)")
    parser.add_argument("--seed", type=int, default=0, help="seed of a random matrix")
    parser.add_argument("--m", type=int, nargs="+", required=True, help="model dimensions (widths)")
    parser.add_argument("--gamma", type=float, required=True, help="weight decay; negative pulls norms of W to 1")
    parser.add_argument("--tied", action="store_true", help="one matrix for contexts and next tokens, A = W")
    parser.add_argument("--iterations", type=int, default=1000, help="largest number of L-BFGS iterations")
    parser.add_argument("--model-seed", type=int, default=0, help="seed of the initial weights")
    parser.add_argument("--folder", type=Path, required=True, help="models are written below this folder")
    return parser


def main() -> None:
    """Parse the command line and train the given widths."""
    arguments = arguments_parser().parse_args()
    settings = MatrixSettings(**{field.name: getattr(arguments, field.name) for field in fields(MatrixSettings)})
    matrix = read_matrix(settings, arguments.counts)
    with threadpool_limits(1):
        for m in arguments.m:
            cell = Cell(
                matrix=arguments.matrix,
                m=m,
                gamma=arguments.gamma,
                tied=arguments.tied,
                iterations=arguments.iterations,
                seed=arguments.model_seed,
            )
            start = time.perf_counter()
            trained = train(matrix, cell)
            if not np.isfinite(trained.history[-1]):
                raise InputError(f"{cell.name}: the loss is not finite; try another gamma")
            save(cell, trained, time.perf_counter() - start, arguments.folder / f"{cell.name}.safetensors")
            logging.info(
                "%s: excess + penalty %.6f after %d iterations, gradient %.1e, fall over the last tenth %.1e",
                *(cell.name, trained.history[-1], len(trained.history)),
                *(trained.gradient_norm, trained.change_last_tenth),
            )


if __name__ == "__main__":
    run(main)
