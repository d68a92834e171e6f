"""The interactive page: its data are those of the tables, and it answers hover, filter and choice in a browser."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic_toy
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from test_report import PATIENCE, chromium

from scaling import tables
from scaling.command import InputError
from scaling.figures import interactive, vega_cells
from scaling.fits.llm import published_losses


ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "resources" / "recorded"
LOSSES = ROOT / "resources" / "published" / "fig8b_llm_loss.csv"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Recorded claims and heads, and made-up toy tables."""
    paths = synthetic_toy.study(
        tmp_path_factory.mktemp("toy"), n=60, widths=(4, 8, 16), alphas=(0.0, 1.0), starts=("normal", "zero")
    )
    found = {name: tables.read(name, path) for name, path in paths.items() if name in interactive.TABLES}
    rest = set(interactive.TABLES) - set(found)
    return found | {name: tables.read(name, RECORDED / f"{name}.csv") for name in rest}


def test_norms_are_shares_of_the_rows(given: dict[str, pd.DataFrame]) -> None:
    models = vega_cells.models_of(given["toy_models"])
    norms = vega_cells.norms_of(models, given["toy_features"])
    sums = norms.groupby(["cell", "start", "m", "seed"])["share"].sum()
    assert len(sums) == given["toy_features"].merge(models, on="model")["model"].nunique() > 0
    np.testing.assert_allclose(sums, 1, atol=1e-3)


def test_curves_are_thinned_and_keep_their_ends(given: dict[str, pd.DataFrame]) -> None:
    models = vega_cells.models_of(given["toy_models"])
    thin = vega_cells.curves_of(models, given["toy_curves"])
    steps = given["toy_curves"]["step"]
    assert thin["step"].nunique() <= vega_cells.CURVE_POINTS
    assert {steps.min(), steps.max()} <= set(thin["step"])


def data(chart: dict[str, Any]) -> pd.DataFrame:
    """The rows of a chart with one data set."""
    (text,) = chart["datasets"].values()
    return pd.read_csv(io.StringIO(text))


def test_every_model_head_and_claim_is_in_the_page(given: dict[str, pd.DataFrame]) -> None:
    charts = {name: chart.to_dict() for name, (_, chart) in interactive.charts(given, published_losses(LOSSES)).items()}
    claims, heads = (data(charts[name]) for name in ("claims", "overlaps"))
    assert set(claims["id"]) == set(given["claims"].dropna(subset=["z"])["id"])
    assert set(heads["model"]) == set(given["llm_overlaps"].dropna(subset=["mean_sq_overlap"])["model"])
    assert set(charts) == {"cells", "overlaps", "losses", "claims"}
    without = interactive.charts({**given, "toy_models": given["toy_models"].head(0)}, published_losses(LOSSES))
    assert set(without) == {"overlaps", "losses", "claims"}


def test_the_page_is_small_and_html_only(given: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    text = interactive.page(given, published_losses(LOSSES))
    assert len(text) < 8e6
    assert (
        re.findall(r"<(?:link|img|iframe)|<script[^>]* src", re.sub(r"<script>.*?</script>", "", text, flags=re.S))
        == []
    )
    with pytest.raises(InputError, match=r"end the name with \.html"):
        interactive.main(["--tables", ".", "--losses", str(LOSSES), "--output", str(tmp_path / "page.svg")])


def test_hover_filter_and_choose(given: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    path = tmp_path / "interactive.html"
    path.write_text(interactive.page(given, published_losses(LOSSES)), encoding="utf-8")
    with chromium(tmp_path) as browser:
        browser.get(path.as_uri())
        ready = "return document.querySelectorAll('.vega-embed canvas, .vega-embed svg').length >= 4"
        WebDriverWait(browser, PATIENCE).until(lambda driver: driver.execute_script(ready))
        assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
        _hover(browser)
        _filter(browser, given["claims"])
        for gamma, alpha in ((0.3333, 0.0), (-0.5556, 1.0)):
            _choose(browser, given, gamma, alpha)


def _hover(browser: webdriver.Chrome) -> None:
    """The first head's name is in the tooltip over its point."""
    point = browser.find_element(By.CSS_SELECTOR, "#overlaps .mark-symbol.role-mark path")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(browser).move_to_element(point).perform()
    tip = WebDriverWait(browser, PATIENCE).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element.visible")
    )
    assert "model" in tip[0].text


def _filter(browser: webdriver.Chrome, claims: pd.DataFrame) -> None:
    """A click on a verdict in the legend leaves its claims alone."""
    points = "#claims .mark-symbol.role-mark path"
    entry = browser.find_element(By.XPATH, "//*[@id='claims']//*[local-name()='text' and text()='reproduced']")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", entry)
    ActionChains(browser).move_to_element(entry).click().perform()
    expected = int((claims.dropna(subset=["z"])["verdict"] == "reproduced").sum())
    WebDriverWait(browser, PATIENCE).until(
        lambda driver: len(driver.find_elements(By.CSS_SELECTOR, points)) == expected
    )


def _marks(browser: webdriver.Chrome, kind: str) -> list[dict[str, str]]:
    """What the marks of a kind in the chart of cells stand for, by the names of their axes, from their labels."""
    script = f"""return [...document.querySelectorAll('#cells [aria-roledescription="{kind}"]')]
        .map(mark => mark.getAttribute('aria-label'))"""
    labels = browser.execute_script(script)
    return [dict(part.split(": ", 1) for part in label.split("; ") if ": " in part) for label in labels]


def _choose(browser: webdriver.Chrome, given: dict[str, pd.DataFrame], gamma: float, alpha: float) -> None:
    """A click on a cell draws its models: every loss, every part of it, the norms and the training curves."""
    models = vega_cells.models_of(given["toy_models"])
    models = models[(models["gamma"] == gamma) & (models["alpha"] == alpha)]
    cells = browser.find_elements(By.CSS_SELECTOR, "#cells [aria-roledescription='square']")
    names = {"data exponent α": alpha, "weight decay γ": gamma}
    values = [dict(part.split(": ", 1) for part in cell.get_attribute("aria-label").split("; ")) for cell in cells]
    (place,) = [
        k
        for k, shown in enumerate(values)
        if all(abs(float(shown[name].replace("−", "-")) - value) < 1e-3 for name, value in names.items())
    ]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cells[place])
    ActionChains(browser).move_to_element(cells[place]).click().perform()
    expected = sorted((m, round(loss, 4)) for m, loss in zip(models["m"], models["loss"], strict=True))

    def drawn(_: webdriver.Chrome) -> list[tuple[int, float]]:
        points = [mark for mark in _marks(browser, "point") if "loss L" in mark]
        return sorted((int(mark["model dimension m"]), round(float(mark["loss L"]), 4)) for mark in points)

    WebDriverWait(browser, PATIENCE).until(
        lambda driver: np.allclose(drawn(driver), expected, rtol=1e-3) if len(drawn(driver)) == len(expected) else False
    )
    bars = _marks(browser, "bar")
    assert len(bars) == models["m"].nunique() * models["start"].nunique() * len(vega_cells.PARTS)
    lines = _marks(browser, "line mark")
    assert sum("training loss" in line for line in lines) == len(models)
    with_norms = models[models["model"].isin(given["toy_features"]["model"])]
    histograms = [line for line in lines if "norm of the row (last bin" in " ".join(line)]
    assert len(histograms) == len(with_norms[["m", "start"]].drop_duplicates())
    shares = [line for line in lines if "rows" in line]
    assert {line["rows"] for line in shares} == {"norm > 1/2", "norm > 1"}


def test_the_recorded_part_of_the_papers_study_has_its_page(tmp_path: Path) -> None:
    output = tmp_path / "paper.html"
    interactive.main(["--tables", str(RECORDED / "paper"), "--output", str(output)])
    text = output.read_text(encoding="utf-8")
    assert '<div id="cells">' in text
    assert '<div id="claims">' not in text
    with pytest.raises(InputError, match="no table of the page"):
        interactive.main(["--tables", str(tmp_path), "--output", str(output)])


def test_cells_have_the_exponent_of_either_start(given: dict[str, pd.DataFrame]) -> None:
    cells = vega_cells.cells_of(vega_cells.models_of(given["toy_models"]), given["toy_exponents"])
    assert len(cells) == 4
    strong = cells[cells["gamma"] < 0]
    assert (strong["exponent from b = 0"] - strong["exponent"]).to_numpy() == pytest.approx(1, abs=1e-3)
