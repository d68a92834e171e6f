"""The marked blocks of README and docs: written from a recorded run, and equal to it; every link leads somewhere."""

import datetime
import math
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from smoke_run import snakemake

from scaling import blocks, readme, tables
from scaling.claims import registry, verdict
from scaling.claims.registry import Claim, Result
from scaling.claims.study import Study
from scaling.command import InputError
from scaling.fits.estimate import Estimate


ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "resources" / "recorded"


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    return [
        path
        for folder in ("", "config", "docs", "benchmarks", "results", "resources/*")
        for path in ROOT.glob(f"{folder}/*.md".lstrip("/"))
    ]


def family() -> list[dict[str, Any]]:
    """Three made-up language models: two seeds at one width, and another learning rate."""
    one = {
        column: {"str": "x", "int": 300, "float": 0.5, "bool": True}[entry["type"]]
        for column, entry in tables.dictionary()["llm_family"]["columns"].items()
    }
    one |= {"architecture": "gpt2", "m": 16, "gamma": -1.0, "learning_rate_factor": 1.0, "seconds": 60.0}
    return [
        one | {"model": "a", "loss": 5.0, "loss_stderr": 0.02, "mean_sq_overlap": 0.25},
        one | {"model": "b", "loss": 5.5, "loss_stderr": 0.02, "mean_sq_overlap": 0.25},
        one | {"model": "c", "loss": 9.0, "learning_rate_factor": 2.0},
    ]


def made_up(text: str, quantity: str, expected: float, ours: Estimate | None, relation: str = "equal") -> Claim:
    """A claim whose function reads no table."""
    results = [] if ours is None else [Result(ours=ours)]
    return Claim(
        id=f"made_up.{text}",
        text=text,
        origin="statement",
        where="Fig. 1",
        quantity=quantity,
        expected=expected,
        expected_kind="published",
        delta=0.1,
        tables=[],
        function=lambda study: results,
        relation=relation,  # type: ignore[arg-type]
        how_to_run="how to run it",
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A recorded run of made-up claims, with the models and exponents of the real one."""
    claims = [
        made_up("one", "a|b", 1.0, Estimate(value=1.021, stderr=0.013, df=4, n=6)),
        made_up("two", "q", 0.5, Estimate(value=0.2, stderr=0.0, n=4), relation="at least"),
        made_up("three", "q", 1.0, None),
        made_up("four", "r", 1.0, Estimate(value=1.01, stderr=0.0, n=4)),
        made_up("four", "s", 2.0, Estimate(value=1.0, stderr=0.0, n=4)),
        made_up("five", "r", 2.0, Estimate(value=3.0, stderr=0.0, n=4)),
        made_up("five", "s", 2.0, Estimate(value=1.0, stderr=0.0, n=4)),
    ]
    study = Study(frames={}, resources=tmp_path)
    tables.write("llm_family", pd.DataFrame(family()), tmp_path / "results" / "llm_family.csv")
    paths = [tmp_path / "results" / f"{name}.csv" for name in ("claims", "llm_family")]
    paths += [RECORDED / "toy_models.csv", RECORDED / "toy_exponents.csv"]
    tables.write("claims", registry.table(study, claims), paths[0])
    config = tmp_path / "config.yaml"
    config.write_text("toy: {engine: numba}\n")
    readme.record_tables(paths, [config], tmp_path / "resources" / "recorded", datetime.date(2026, 1, 2))
    return tmp_path / "resources" / "recorded"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.9106, 0.0874, "0.911 ± 0.087"),
        (2.522643, 0.02583, "2.523 ± 0.026"),
        (1.2, math.nan, "1.2"),
        (123.4, 12.3, "123 ± 12"),
        (1.0, 0.0, "1"),
        (math.nan, 0.1, ""),
        (1.0, 1e-8, "1.0000 ± 0.0000"),
    ],
)
def test_numbers(value: float, error: float, text: str) -> None:
    assert blocks.number(value, error) == text


def test_blocks_are_written_once_and_stay(recorded: Path) -> None:
    text = "# Title\n<!-- claims: begin -->\nold\n<!-- claims: end -->\nprose\n<!-- run: begin --><!-- run: end -->\n"
    once = readme.with_blocks(text, recorded)
    assert readme.with_blocks(once, recorded) == once
    assert "old" not in once
    assert once.startswith("# Title\n")
    assert "prose" in once
    assert "Recorded on 2026-01-02" in once


def test_a_claim_is_one_row_however_many_settings(recorded: Path) -> None:
    text = blocks.claims(recorded)
    tally = blocks.headline(recorded)
    assert tally.startswith("- 6 numbers that the paper states: 2 reproduced, 4 differs.")
    assert "| one | Fig. 1 | statement | 1 | 1.021 ± 0.013 | reproduced |" in text
    assert "| two | Fig. 1 | statement | ≥ 0.5 | 0.2 | differs |" in text
    assert "| four | Fig. 1 | statement | 1, 2 | 1.01, 1 | 1 reproduced, 1 differs |" in text
    assert "| five | Fig. 1 | statement | 2 | 1 to 3 | 2 differs |" in text
    assert text.endswith("Not run in this study, with how to run them in the note of the table: three (1 row).")


def test_every_setting_is_listed_in_the_full_table(recorded: Path) -> None:
    text = blocks.all_claims(recorded)
    assert (
        "| reproduced | `made_up.one` | one | statement, Fig. 1 | a\\|b | 1 (published) | 1.021 ± 0.013 "
        "| 0.1 | 1.62 | 4 | 6 widths | default |  |"
    ) in text
    assert "| not run | `made_up.three` | three | statement, Fig. 1 | q | 1 (published) |  | 0.1 |  |  |  |" in text
    assert text.count("\n") == 8


def test_every_system_has_the_row_of_one_claim(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SYSTEMS", (("a system", "scaling/a.py", "a.md", "made_up.one"),))
    assert blocks.systems(recorded).split("\n")[2:] == [
        "| [a system](scaling/a.py) | [a.md](docs/a.md) | one | 1 | 1.021 ± 0.013 | reproduced |"
    ]
    monkeypatch.setattr(blocks, "SYSTEMS", (("a system", "scaling/a.py", "a.md", "made_up.seven"),))
    with pytest.raises(InputError, match="no claim made_up"):
        blocks.systems(recorded)


def test_the_exponents_are_those_of_the_table(recorded: Path) -> None:
    frame = tables.read("toy_exponents", recorded / "toy_exponents.csv")
    row = frame[frame["experiment"] == "decay_sweep"].dropna(subset=["exponent"]).iloc[0]
    assert blocks.number(row["exponent"], row["exponent_stderr"]) in blocks.exponents(recorded)


def test_the_family_has_one_row_per_width_averaged_over_seeds(recorded: Path) -> None:
    rows = blocks.family(recorded).split("\n")[2:]
    assert rows == ["| −1 | 16 | 5.250 ± 0.020 | 0.50 | 4.0/m | 8.0/m | 2 |"]
    assert "3 language models, in 3" in blocks.run(recorded)


def test_the_rule_graph_leaves_out_the_goal_and_what_others_imply(tmp_path: Path) -> None:
    arrows = ["id1 --> id0", "id2 --> id1", "id3 --> id2", "id3 --> id1", "id4 --> id1"]
    names = ["id0[all]", "id1[claims]", "id2[fit]", "id3[train]", "id4[heads]"]
    (tmp_path / "rules.mmd").write_text("\n".join(["flowchart TB", *names, *arrows]))
    assert blocks.rules(tmp_path).split("\n")[2:-1] == [
        "    fit --> claims",
        "    heads --> claims",
        "    train --> fit",
    ]


def test_the_recorded_rule_graph_is_that_of_the_workflow(tmp_path: Path) -> None:
    done = snakemake(tmp_path, "--rulegraph", "mermaid-js", configs=[str(ROOT / "config.yaml")])
    assert done.returncode == 0, done.stderr
    (tmp_path / "rules.mmd").write_text(done.stdout)
    assert blocks.rules(tmp_path) == blocks.rules(RECORDED), "type `make record`"


def test_the_gallery_shows_recorded_pictures_by_their_number(recorded: Path) -> None:
    table = recorded.parents[1] / "workflow" / "figures.yaml"
    table.parent.mkdir(parents=True)
    figures = {"seeds": {"title": "what scatters"}, "fig1_loss": {"paper": "Fig. 1b, d", "title": "loss and m"}}
    figures["fig2"] = {"paper": "Fig. 2", "title": "no picture"}
    drawing = {"module": "figures.toy", "category": "Toy model", "figures": figures}
    table.write_text(yaml.safe_dump({"drawings": {"draw": drawing}}, sort_keys=False))
    pixels = np.full((300, 2000, 3), 255, dtype=np.uint8)
    pixels[:, :1000] = np.random.default_rng(0).integers(0, 100, (300, 1000, 1))
    pixels[100:110, 1500:1510] = 213, 94, 0  # a few orange points keep their colour
    for name in ("fig1_loss", "seeds"):
        Image.fromarray(pixels).save(recorded.parent / f"{name}.png")
    readme.record_pictures([recorded.parent / "fig1_loss.png", recorded.parent / "seeds.png"], recorded)
    with Image.open(recorded / "figures" / "fig1_loss.png") as small:
        assert small.size == (readme.PICTURE_WIDTH, readme.PICTURE_WIDTH * 300 // 2000)
        colours = np.asarray(small.convert("RGB"), dtype=int).reshape(-1, 3)
    assert np.abs(colours - [213, 94, 0]).max(axis=1).min() < 20
    first, second = blocks.gallery(recorded).split("\n")[2].strip("| ").split(" | ")
    assert first == "**Fig. 1b, d.** Loss and m<br>![fig1_loss](../resources/recorded/figures/fig1_loss.png)"
    assert second.startswith("**Not in the paper.** What scatters<br>")
    with pytest.raises(InputError, match="no such PNG figure"):
        readme.record_pictures([recorded / "none.png"], recorded)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- claims: begin -->", "one begin mark"),
        ("<!-- claims: end --><!-- claims: begin -->", "one begin mark"),
        ("<!-- claims: begin --><!-- claims: end -->" * 2, "one begin mark"),
        ("<!-- other: begin --><!-- other: end -->", "no block 'other'"),
    ],
)
def test_wrong_marks_are_named(recorded: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        readme.with_blocks(text, recorded)


def test_recording_keeps_tables_config_and_versions(recorded: Path) -> None:
    run = blocks.read_run(recorded)
    assert run["config"] == {"config.yaml": {"toy": {"engine": "numba"}}}
    assert "numpy" in run["versions"]
    assert len(tables.read("claims", recorded / "claims.csv")) == 7
    with pytest.raises(InputError, match="no table nonsense"):
        readme.record_tables([Path("nonsense.csv")], [], recorded, datetime.date(2026, 1, 2))


@pytest.mark.parametrize("text", [None, "toy: [1, {"])
def test_a_config_that_cannot_be_read_records_nothing(text: str | None, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_text(text)
    table = ROOT / "resources" / "recorded" / "toy_exponents.csv"
    with pytest.raises(InputError, match=r"config\.yaml: cannot be read as YAML"):
        readme.record_tables([table], [config], tmp_path / "recorded", datetime.date(2026, 1, 2))
    assert not (tmp_path / "recorded").exists()


def test_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.yaml: no recorded run"):
        blocks.read_run(tmp_path)


@pytest.mark.parametrize("document", [page.relative_to(ROOT) for page in readme.documents(ROOT)], ids=str)
def test_documents_show_the_recorded_run(document: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert ": begin -->" in text
    assert readme.with_blocks(text, RECORDED) == text, "run `python -m scaling.readme write`"


@pytest.mark.parametrize("document", sorted(path.relative_to(ROOT) for path in documents()), ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if path.startswith("https://"):
            continue
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, link


def needed(project: dict[str, Any], extra: str) -> list[str]:
    """Requirements of the core and of an extra, with those of the extras that it names."""
    lines = [*project["dependencies"]]
    for line in project["optional-dependencies"][extra]:
        if line.startswith(project["name"]):
            lines += [more for name in line.split("[")[1].rstrip("]").split(",") for more in needed(project, name)]
        else:
            lines.append(line)
    return lines


def test_the_conda_environment_has_what_the_package_imports() -> None:
    """The pinned versions of the package's dependencies, but for Snakemake, which calls it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[>=<]", line)[0].lower() for line in needed(project, "workflow")} - {"snakemake"}
    environment = yaml.safe_load((ROOT / "workflow" / "envs" / "scaling.yaml").read_text(encoding="utf-8"))
    pinned = environment["dependencies"][-1]["pip"]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {line.split("==")[0].lower() for line in pinned} == wanted
    assert set(pinned) <= set(constraints)


def test_recorded_verdicts_follow_from_their_numbers() -> None:
    frame = tables.read("claims", RECORDED / "claims.csv")
    again = verdict.judged(frame)
    pd.testing.assert_series_equal(again["verdict"], frame["verdict"], check_dtype=False)


def test_the_catalogue_s_metadata_have_its_form() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda", "report"}
