"""The tour runs from its first cell to the paper's main figure."""

import base64
import json
import runpy
from pathlib import Path


EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_tour_runs_and_ends_with_the_main_figure() -> None:
    notebook = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    finished = runpy.run_path(str(EXAMPLES / "render.py"))["run"](notebook)
    cells = [cell for cell in finished["cells"] if cell["cell_type"] == "code"]
    (figure,) = (output["data"]["image/png"] for output in cells[-1]["outputs"])
    assert base64.b64decode(figure).startswith(b"\x89PNG")
    report = "".join(cells[-2]["outputs"][0]["text"])
    assert report.count("power law L = C m^-a: 4 widths, 8 to 27") == 4
    stored = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [len(cell["outputs"]) for cell in stored] == [len(cell["outputs"]) for cell in cells]
