"""The report in a browser, as a reader clicks through it: every figure and table is found, shown and explained.

Needs Chromium and its driver (Debian's packages chromium and chromium-driver); without them the clicks are left out.
"""

import base64
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from smoke_run import ROOT, snakemake


CATEGORIES = {"Overview", "Toy model", "Language models", "Attention", "Tables"}
LONG_TABLES = {"toy_curves", "toy_features", "attention_phase", "attention_tokens"}
RESULTS = "nav tbody tr:has(a[iconname=information-circle])"  # of a category; one result alone has no such sign
PAGES = {"table": ".rows thead th", "summary": ".summary img", "interactive": ".vega-embed .marks"}  # pages by content
STILL = {"textContent": "* { transition: none !important; }"}
PATIENCE = 600  # seconds, for a busy machine
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # offline, whatever the machine has
    "--window-size=1500,1100",
]


@pytest.fixture(scope="module")
def report(whole: Path) -> Path:
    """The report of the smallest study."""
    style = str(ROOT / "workflow" / "report" / "report.css")
    done = snakemake(whole, "--report", "results/report.html", "--report-stylesheet", style)
    assert done.returncode == 0, done.stderr
    return whole / "results" / "report.html"


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[webdriver.Chrome]:
    """Headless Chromium with an empty profile; files are downloaded to `folder`."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("no chromium and chromedriver here: the report was made, but not opened in a browser")
    options = webdriver.ChromeOptions()
    for flag in [*FLAGS, f"--user-data-dir={folder / 'profile'}"]:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    options.binary_location = str(programs[0])
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(programs[1])))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def browser(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


def wait(browser: webdriver.Chrome, selector: str, by: str = By.CSS_SELECTOR) -> list[WebElement]:
    """The elements that the selector matches, as soon as there are some."""
    return WebDriverWait(browser, PATIENCE).until(lambda driver: driver.find_elements(by, selector))


def open_report(browser: webdriver.Chrome, report: Path) -> None:
    browser.get(report.as_uri())
    wait(browser, "nav nav")
    # The menu slides to a new width, and a click would land where something was.
    browser.execute_script("document.head.append(Object.assign(document.createElement('style'), arguments[0]))", STILL)


def rows(browser: webdriver.Chrome, category: str) -> list[WebElement]:
    """The results of a category, after a click on it in the menu."""
    wait(browser, f"//nav//li[a/span='{category}']/a", By.XPATH)[0].click()
    return wait(browser, RESULTS)


def click(row: WebElement, icon: str) -> None:
    row.find_element(By.CSS_SELECTOR, f"a[iconname={icon}]").click()


def content(browser: webdriver.Chrome) -> str:
    """A piece of the picture or page that is shown, by which it is told from others."""
    source = "(document.querySelector('#app iframe, #app .p-3 > img')?.src ?? '')"
    return str(browser.execute_script(f"const s = {source}; return s.length + s.substr(s.length / 2, 200)"))


def shown(browser: webdriver.Chrome, before: str) -> str:
    """What the report shows, once it is another than `before`: a figure with a size, or a page with a table."""

    def loaded(driver: webdriver.Chrome) -> str:
        if content(driver) == before:
            return ""
        if driver.execute_script("return document.querySelector('#app .p-3 > img')?.naturalWidth > 100"):
            return "figure"
        for frame in driver.find_elements(By.TAG_NAME, "iframe"):
            driver.switch_to.frame(frame)
            kinds = {kind: driver.find_elements(By.CSS_SELECTOR, selector) for kind, selector in PAGES.items()}
            driver.switch_to.default_content()
            for kind, found in kinds.items():
                if found:
                    return kind
        return ""

    return WebDriverWait(browser, PATIENCE, ignored_exceptions=[StaleElementReferenceException]).until(loaded)


def test_every_figure_and_table_is_found_by_clicks(browser: webdriver.Chrome, report: Path) -> None:
    open_report(browser, report)
    menu = browser.find_element(By.TAG_NAME, "nav").text.split("RESULTS\n")[1].split("\n")
    assert set(menu) == CATEGORIES
    found: dict[str, str] = {}
    for category in menu:
        open_report(browser, report)
        for place in range(len(rows(browser, category))):
            if place:
                rows(browser, category)
            before = content(browser)
            click(wait(browser, RESULTS)[place], "eye")
            kind = shown(browser, before)
            click(wait(browser, RESULTS)[place], "information-circle")
            wait(browser, "//nav//*[text()='Description']", By.XPATH)
            text = browser.find_element(By.TAG_NAME, "nav").text
            path = next(line for line in text.split("\n") if line.startswith("results/"))
            caption = text.split("DESCRIPTION\n")[1].split("\nSIZE\n")[0]
            assert len(caption) > 100, path
            assert "{{" not in caption, path
            assert "{%" not in caption, path
            found[path] = kind
            wait(browser, "//nav//nav//a[normalize-space()='Results']", By.XPATH)[0].click()
    results = report.parent
    tables = {path.stem for path in results.glob("tables/*.csv")} - LONG_TABLES
    assert {path for path, kind in found.items() if kind == "table"} == {
        f"results/pages/{name}.html" for name in tables
    }
    figures = {f"results/figures/{path.name}" for path in results.glob("figures/*.svg")}
    assert {path for path, kind in found.items() if kind == "figure"} == {*figures, "results/figures/overview.png"}
    assert [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_it_opens_on_the_result_and_cuts_nothing_off(browser: webdriver.Chrome, report: Path) -> None:
    open_report(browser, report)
    script = "return arguments[0].getBoundingClientRect().top"
    first = [
        browser.execute_script(script, wait(browser, selector)[0])
        for selector in ("#app .summary img", "#app .summary table", "#app .summary li", "#app canvas, #app svg.marks")
    ]
    assert first[0] >= 0
    assert max(first[:3]) < first[3]
    rows(browser, "Overview")
    for row in wait(browser, RESULTS):
        if "sheet" in row.text:
            click(row, "eye")
            break
    picture = wait(browser, "#app .p-3 > img")[0]
    WebDriverWait(browser, PATIENCE).until(lambda _: picture.size["height"] > 100)
    assert browser.execute_script(script, picture) >= 0


def test_it_says_the_methods_and_loads_nothing(browser: webdriver.Chrome, report: Path) -> None:
    open_report(browser, report)
    body = browser.find_element(By.TAG_NAME, "body").text
    for part in ("Toy model.", "Geometry.", "Exponents.", "What was trained", "decay_sweep"):
        assert part in body
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in asked if not name.startswith(("data:", "file:"))] == []
    browser.find_element(By.XPATH, "//nav//li[a/span='Statistics']/a").click()
    WebDriverWait(browser, PATIENCE).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "#app canvas, #app svg.marks")
    )


def test_tables_sort_filter_and_download(browser: webdriver.Chrome, report: Path) -> None:
    open_report(browser, report)
    names = [row.text for row in rows(browser, "Tables")]
    click(wait(browser, RESULTS)[names.index("toy_models")], "eye")
    shown(browser, "")
    source = report.parent / "tables" / "toy_models.csv"
    frame = pd.read_csv(source)
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    heads = browser.find_elements(By.CSS_SELECTOR, ".rows th")
    column = [head.text for head in heads].index("loss")
    head = heads[column]
    script = "return [...document.querySelectorAll('.rows tbody tr')].map(row => row.cells[arguments[0]].dataset.value)"
    for order in ("ascending", "descending"):
        head.find_element(By.TAG_NAME, "button").click()
        assert head.get_attribute("aria-sort") == order
        expected = sorted(frame["loss"], reverse=order == "descending")
        assert list(map(float, browser.execute_script(script, column))) == expected
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("Density_Sweep")
    assert browser.find_element(By.TAG_NAME, "output").text == f"{sum(frame['experiment'] == 'density_sweep')} rows"
    link = browser.find_element(By.CSS_SELECTOR, "a[download]")
    assert base64.b64decode(link.get_attribute("href").split(",")[1]) == source.read_bytes()
    link.click()
    folder = Path(browser.capabilities["chrome"]["userDataDir"]).parent / "downloads"
    WebDriverWait(browser, PATIENCE).until(lambda _: (folder / "toy_models.csv").exists())
    assert (folder / "toy_models.csv").read_bytes() == source.read_bytes()
    browser.switch_to.default_content()
