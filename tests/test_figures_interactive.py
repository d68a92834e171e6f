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
from scaling.figures import interactive
from scaling.fits.llm import published_losses


ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "resources" / "recorded"
LOSSES = ROOT / "resources" / "published" / "fig8b_llm_loss.csv"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Recorded claims and heads, and made-up toy tables."""
    paths = synthetic_toy.study(tmp_path_factory.mktemp("toy"), n=60, widths=(4, 8, 16))
    found = {name: tables.read(name, path) for name, path in paths.items() if name in interactive.NEEDED}
    rest = set(interactive.NEEDED) - set(found)
    return found | {name: tables.read(name, RECORDED / f"{name}.csv") for name in rest}


def test_norms_are_shares_of_the_rows(given: dict[str, pd.DataFrame]) -> None:
    models = interactive.models_of(given["toy_models"])
    norms = interactive.norms_of(models, given["toy_features"])
    sums = norms.groupby(["cell", "m", "seed"])["share"].sum()
    assert len(sums) == given["toy_features"].merge(models, on="model")["model"].nunique() > 0
    np.testing.assert_allclose(sums, 1, atol=1e-3)


def test_curves_are_thinned_and_keep_their_ends(given: dict[str, pd.DataFrame]) -> None:
    models = interactive.models_of(given["toy_models"])
    thin = interactive.curves_of(models, given["toy_curves"])
    steps = given["toy_curves"]["step"]
    assert thin["step"].nunique() <= interactive.CURVE_POINTS
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
        _choose(browser)


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


def _choose(browser: webdriver.Chrome) -> None:
    """A click on another cell changes the lines drawn."""
    cells = browser.find_elements(By.CSS_SELECTOR, "#cells .mark-symbol.role-mark.concat_0_concat_0_marks path")
    cells = cells or browser.find_elements(By.CSS_SELECTOR, "#cells [aria-roledescription='square']")
    lines = "return [...document.querySelectorAll('#cells .mark-line path')].map(path => path.getAttribute('d')).join()"
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cells[0])
    before = browser.execute_script(lines)
    seen = set()
    for cell in (cells[0], cells[-1]):
        ActionChains(browser).move_to_element(cell).click().perform()
        WebDriverWait(browser, PATIENCE).until(lambda driver: driver.execute_script(lines))
        seen.add(browser.execute_script(lines))
    assert len({before, *seen}) > 1
