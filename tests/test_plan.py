"""What the Snakefile makes of a config: the table of figures, names, options, memory and run time of jobs."""

import importlib
from pathlib import Path

import pytest
from snakemake.exceptions import WorkflowError

from scaling import tables
from scaling.plan import jobs, run
from scaling.plan.figures import NOT_IN_THE_PAPER, Drawing, Figure, drawn, pictures, read_drawings, read_overview
from scaling.toy.cell import AXES, Cell


ROOT = Path(__file__).parents[1]
TABLE = ROOT / "workflow" / "figures.yaml"
DRAWINGS = read_drawings(TABLE)
FIGURES = {figure.name: figure for drawing in DRAWINGS.values() for figure in drawing.figures}


@pytest.mark.parametrize("module", sorted({drawing.module for drawing in DRAWINGS.values()}))
def test_the_table_has_every_figure_that_a_module_draws(module: str) -> None:
    listed = [figure.name for drawing in DRAWINGS.values() if drawing.module == module for figure in drawing.figures]
    drawn = getattr(importlib.import_module(f"scaling.{module}"), "FIGURES", None)
    assert drawn is None or sorted(drawn) == sorted(listed)
    assert (drawn is None) == all(not drawing.select for drawing in DRAWINGS.values() if drawing.module == module)


@pytest.mark.parametrize("rule", DRAWINGS)
def test_what_a_figure_is_drawn_from_exists(rule: str) -> None:
    drawing = DRAWINGS[rule]
    assert {*drawing.tables.values(), *drawing.folder} <= set(tables.dictionary())
    for names in drawing.published.values():
        assert all((ROOT / "resources" / "published" / f"{name}.csv").is_file() for name in names)


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_names_the_figure_by_its_number_in_the_paper(name: str) -> None:
    caption = " ".join((ROOT / "workflow" / "report" / f"{name}.rst").read_text(encoding="utf-8").split())
    assert caption.startswith("**")
    number = FIGURES[name].paper
    if number not in (NOT_IN_THE_PAPER, "all"):
        assert number.split(", ")[-1].split("-")[0] in caption


def test_the_sheet_shows_figures_of_the_table() -> None:
    assert set(read_overview(TABLE)) <= set(FIGURES)


def test_a_figure_is_drawn_if_the_models_that_it_needs_are_trained() -> None:
    needy = Figure(name="a", title="A", category="Toy model", needs={"seed": 2})
    drawings = {"one": Drawing(module="m", figures=[needy])}
    cells = [Cell(training="paper", m=m, gamma=-1, seed=seed) for m, seed in ((10, 0), (25, 1))]
    assert needy.is_met(cells)  # of one curve
    elsewhere = [Cell(training="paper", m=10, gamma=gamma, seed=seed) for gamma, seed in ((-1, 0), (1, 1))]
    assert not needy.is_met(elsewhere)
    assert drawn(drawings, elsewhere) == {}
    assert drawn(drawings, cells) == drawings
    for figure in FIGURES.values():
        assert set(figure.needs) <= set(AXES)


def test_the_arguments_of_a_drawing() -> None:
    figure = Figure(name="a", title="A", category="Toy model")
    drawing = Drawing(module="figures.toy", figures=[figure], tables={"m": "toy_models"}, published={"p": ["x", "y"]})
    assert drawing.inputs("read") == ["results/tables/toy_models.csv", "read/x.csv", "read/y.csv"]
    assert drawing.arguments("read") == [
        *("--figure", "a", "--m", "results/tables/toy_models.csv", "--p", "read/x.csv", "read/y.csv"),
    ]
    folder = Drawing(module="figures.attention", figures=[figure], folder=["packing"], select=False)
    assert folder.arguments("read") == ["--tables", "results/tables"]
    assert pictures(drawing) == ["results/figures/a.svg", "results/figures/a.png"]


def test_names_of_the_config_become_paths_or_are_refused() -> None:
    assert jobs.file_name("owner/model") == "owner--model"
    for name in ("..", ".", "x" * 201):
        with pytest.raises(WorkflowError, match="cannot be part of a path"):
            jobs.file_name(name)
    entries = [{"tokenizer": "a/b", "text": "t"}, {"tokenizer": "a--b", "text": "u"}]
    assert list(jobs.by_name(entries, ["tokenizer", "text"], "tokens")) == ["a--b/t", "a--b/u"]
    with pytest.raises(WorkflowError, match="tokens: a--b is listed more than once"):
        jobs.by_name(entries, ["tokenizer"], "tokens")


def test_options_are_those_that_an_item_has_and_are_quoted() -> None:
    entry = {"model": "a b", "sample_rows": 3}
    assert jobs.command_options(entry, "model", "path", "sample_rows") == "--model='a b' --sample-rows=3"
    assert jobs.one_of([]) == "(?!)"
    assert jobs.one_of(["a.b", "c"]) == r"a\.b|c"
    assert jobs.lloyd_networks([{"kind": "aligned", "depth": [1, 2], "seeds": 3}]) == "aligned:1,2:3"


def test_files_that_a_job_reads(tmp_path: Path) -> None:
    assert jobs.local_files({"path": "folder", "files": ["folder/a"]}) == ["folder/a"]
    assert jobs.local_files({"path": "folder"}) == "folder"
    assert jobs.local_files({"model": "a/b"}) == []
    assert jobs.is_remote({"model": "a/b"})
    assert not jobs.is_remote({"path": "folder"})
    texts = {"c4": {"dataset": "a/c4"}, "mine": {"path": "mine.txt"}}
    files = [jobs.text_file(texts, name, "held_out.jsonl") for name in ("c4", "mine", "python")]
    assert files == ["results/llm/texts/c4.jsonl", "mine.txt", "held_out.jsonl"]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "claims.rst").write_text("")
    captions = [jobs.table_caption(tmp_path, table) for table in ("claims", "toy_models")]
    assert captions == ["../report/tables/claims.rst", "../report/tables/any.rst"]


def test_a_model_in_no_experiment_is_named() -> None:
    with pytest.raises(WorkflowError, match="no experiment in the config requests the model x"):
        jobs.asked({}, "x", "model")


def test_larger_trainings_request_more() -> None:
    small, large = Cell(n=1000, m=10, gamma=0.0), Cell(n=10_000, m=1000, gamma=0.0)
    toy = {"trainings": {"paper": {}}}
    assert jobs.training_minutes(small, toy) == 11
    assert jobs.training_minutes(large, toy) > 1000
    assert jobs.training_memory(large) > 2 * jobs.training_memory(small)
    assert jobs.measurement_memory([small, large]) > jobs.measurement_memory([small])


def test_models_of_packages_that_are_not_installed_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    llm = {
        "models": [
            {"model": "here", "package": "scaling", "path": "x"},
            {"model": "away", "package": "no_such_package"},
        ],
        "tokens": [{"tokenizer": "away"}, {"tokenizer": "words"}],
    }
    found = jobs.with_packages(llm, report=True)
    assert [entry["model"] for entry in found["models"]] == ["here"]
    assert found["models"][0]["path"].endswith("scaling/x")
    assert found["tokens"] == [{"tokenizer": "words"}]
    assert "away: left out" in capsys.readouterr().err


def test_a_failure_is_retried(tmp_path: Path) -> None:
    assert jobs.attempt(str(tmp_path / "none.csv"), "llm_overlaps") == 1
    (tmp_path / "old.csv").write_text("model\nx\n")
    assert jobs.attempt(str(tmp_path / "old.csv"), "llm_overlaps") == 1


def test_one_run_at_a_time_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run.check_writable()
    held = run.hold_lock()
    assert held is not None
    with pytest.raises(WorkflowError, match="another snakemake is running in"):
        run.hold_lock()
    held.close()
    again = run.hold_lock()
    assert again is not None
    again.close()
    assert run.closing_lines() == ""
    (tmp_path / "results" / "tables").mkdir(parents=True)
    (tmp_path / "results" / "tables" / "claims.csv").write_text("")
    assert "1 tables in results/tables: claims" in run.closing_lines()
