"""Run the code cells of a notebook in order, in this interpreter, and keep what they print and draw.

    python examples/render.py examples/tour.ipynb

writes the outputs into the notebook. No Jupyter is needed.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any


os.environ.setdefault("MPLBACKEND", "Agg")


def run_cell(source: str, names: dict[str, Any], label: str) -> list[dict[str, Any]]:
    """Run one cell in the namespace `names`; return its outputs: text, and the value of a last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, label, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), label, "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(True)})
    if value is not None:
        data: dict[str, Any] = {"text/plain": repr(value).splitlines(True)}
        if hasattr(value, "savefig"):
            image = io.BytesIO()
            value.savefig(image, format="png", dpi=100, metadata={"Software": None})
            data = {"image/png": base64.b64encode(image.getvalue()).decode()}
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
    return outputs


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run the code cells in one namespace; return the notebook with new outputs."""
    names: dict[str, Any] = {}
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            outputs = run_cell("".join(cell["source"]), names, f"cell {number}")
            cell = {**cell, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


if __name__ == "__main__":
    path = Path(sys.argv[1])
    finished = run(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(finished, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
