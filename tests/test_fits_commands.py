"""The commands of the fits: tables in, tables and figures out, one error line for each mistake of a user."""

import socketserver
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_toy import filled, study

from scaling import command, tables
from scaling.command import InputError
from scaling.figures import fits as figures
from scaling.fits import chinchilla, joint, llm, points, published, toy


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "resources" / "published"
SHAPES = PUBLISHED / "chinchilla_model_shapes.csv"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a module's command with these arguments, as `python -m` would."""

    def run(main: Callable[[], None], *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        command.run(main)

    return run


def made_up_points(n: int = 80) -> pd.DataFrame:
    """Points of a known law whose parameter counts are those of Table A9."""
    random = np.random.default_rng(0)
    shapes = published.read(SHAPES, chinchilla.SHAPES)
    N = 1e6 * random.choice(shapes["params_millions"].to_numpy(float), n)
    D = np.exp(random.uniform(22, 27, n))
    loss = (1.8 + 480 * N**-0.35 + 2000 * D**-0.37) * np.exp(0.005 * random.standard_normal(n))
    return pd.DataFrame({"parameters": N, "tokens": D, "loss": loss})


def test_toy_tables(tmp_path: Path, call: Callable[..., None]) -> None:
    paths = study(tmp_path)
    exponents, starts = tmp_path / "exponents.csv", tmp_path / "starts.csv"
    call(toy.main, "--models", paths["toy_models"], "--exponents", exponents, "--starts", starts)
    models = tables.read("toy_models", paths["toy_models"])
    table = tables.read("toy_exponents", exponents)
    assert len(table) == models.groupby(toy.KEY, dropna=False).ngroups
    assert not table.duplicated(toy.KEY).any()
    one = table[(table["experiment"] == "decay_sweep") & (table["alpha"] == 1) & (table["gamma"] < 0)].iloc[0]
    assert (one["n_points"], one["n_seeds"], one["status"]) == (6, 2, "converged")
    assert one["predicted_exponent"] == 1
    assert one["exponent_represented"] == pytest.approx(1, abs=0.05)
    windows = tables.read("toy_exponent_starts", starts)
    same = windows[(windows["experiment"] == "decay_sweep") & (windows["alpha"] == 1) & (windows["gamma"] < 0)]
    first = same[(same["start_index"] == 0) & (same["quantity"] == "loss")].iloc[0]
    assert first["exponent"] == pytest.approx(one["exponent"])
    assert set(same["n_points"]) == {6, 5, 4, 3}


def test_toy_curves_with_one_width_or_laws_without_alpha_are_rows_too(tmp_path: Path) -> None:
    models = tables.read("toy_models", study(tmp_path, widths=[10], seeds=2, large=True)["toy_models"])
    table = tables.validate("toy_exponents", toy.exponent_table(models), "test")
    narrow = table[table["experiment"] == "decay_sweep"]
    assert (narrow["status"] == "too few points").all()
    assert narrow["exponent"].isna().all()
    assert narrow["note"].str.contains("at least 3 different widths").all()
    others = table[table["frequency_law"] == "linear"]
    assert others["alpha"].isna().all()
    assert set(others["predicted_exponent"].dropna()) <= {1.0}


def test_curves_without_packing_loss_say_so(tmp_path: Path) -> None:
    models = tables.read("toy_models", study(tmp_path)["toy_models"])
    models["loss_unrepresented"] = models["loss"]
    table = tables.validate("toy_exponents", toy.exponent_table(models), "test")
    assert table["exponent_represented"].isna().all()
    assert table["note"].str.contains("no packing loss").all()


@pytest.mark.parametrize(("column", "value"), [("loss", -1.0), ("loss", np.nan), ("m", 0)])
def test_impossible_models_end_in_one_line(
    tmp_path: Path, call: Callable[..., None], column: str, value: float
) -> None:
    path = study(tmp_path)["toy_models"]
    frame = pd.read_csv(path)
    frame.loc[3, column] = value
    frame.to_csv(path, index=False)
    with pytest.raises(SystemExit, match=rf"^error: .*line 5: table toy_models: column {column}"):
        call(toy.main, "--models", path, "--exponents", tmp_path / "e.csv", "--starts", tmp_path / "s.csv")
    assert not (tmp_path / "e.csv").exists()


def test_loss_of_zero_is_named(tmp_path: Path, call: Callable[..., None]) -> None:
    path = study(tmp_path)["toy_models"]
    frame = pd.read_csv(path)
    frame.loc[3, "loss"] = 0.0
    frame.to_csv(path, index=False)
    with pytest.raises(SystemExit, match="loss must contain finite numbers above zero"):
        call(toy.main, "--models", path, "--exponents", tmp_path / "e.csv", "--starts", tmp_path / "s.csv")


def test_missing_tables_are_named(tmp_path: Path, call: Callable[..., None]) -> None:
    with pytest.raises(SystemExit, match=r"^error: .*nowhere\.csv: no such table"):
        call(toy.main, "--models", tmp_path / "nowhere.csv", "--exponents", "e", "--starts", "s")
    with pytest.raises(SystemExit, match=r"^error: .*nowhere\.csv: no such file"):
        call(llm.main, "--published", tmp_path / "nowhere.csv", "--fit", "f", "--intercepts", "i")
    with pytest.raises(InputError, match="lacks column colour"):
        published.read(SHAPES, ["colour"])


def test_measured_losses_are_fitted_in_addition_to_the_published(tmp_path: Path, call: Callable[..., None]) -> None:
    m = np.array([16, 32, 64, 128])
    rows = {"model": [f"m{width}" for width in m], "family": "local", "dataset": "python", "m": m}
    measured = pd.DataFrame(rows | {"loss": 3 + 20 / m, "source": "local", "status": "measured"})
    failed = {"model": "m256", "family": "local", "dataset": "python", "source": "local", "status": "failed"}
    losses = filled("llm_losses", [*measured.to_dict("records"), failed])
    tables.write("llm_losses", losses, tmp_path / "llm_losses.csv")
    fit, intercepts = tmp_path / "fit.csv", tmp_path / "intercepts.csv"
    files = ["--published", PUBLISHED / "fig8b_llm_loss.csv", "--losses", tmp_path / "llm_losses.csv"]
    call(llm.main, *files, "--resamples", 20, "--fit", fit, "--intercepts", intercepts)
    table = tables.read("llm_loss_fit", fit).set_index(["source", "subset", "form"])
    assert table.loc[("published", "all", "power"), "exponent"] == pytest.approx(0.9105, abs=5e-4)
    assert table.loc[("local", "all", "power"), "exponent"] == pytest.approx(1, abs=1e-3)
    assert "too few clusters" in table.loc[("local", "all", "power"), "note"]
    found = tables.read("llm_loss_intercepts", intercepts).set_index(["source", "family"])["intercept"]
    assert found["local", "local"] == pytest.approx(3, abs=1e-3)
    assert set(table.index.get_level_values("source")) == {"published", "local"}


def test_a_missing_network_is_reported_and_the_rest_continues(tmp_path: Path, call: Callable[..., None]) -> None:
    table = tmp_path / "points.csv"
    call(points.main, "--source", "http://127.0.0.1:9/svg_extracted_data.csv", "--output", table)
    assert tables.read("chinchilla_points", table).empty
    fit, profile, widths = (tmp_path / f"{name}.csv" for name in ("fit", "profile", "widths"))
    arguments = ["--points", table, "--shapes", SHAPES, "--fit", fit, "--profile", profile, "--widths", widths]
    call(chinchilla.main, *arguments)
    rows = tables.read("chinchilla_fit", fit)
    assert (rows["status"] == "not run").all()
    assert rows["note"].str.contains("chinchilla_points").all()
    assert tables.read("width_fit", widths)["exponent"][0] == pytest.approx(2.52264, abs=1e-4)
    call(joint.main, "--points", table, "--shapes", SHAPES, "--output", tmp_path / "joint.csv")
    assert (tables.read("joint_fit", tmp_path / "joint.csv")["status"] == "not run").all()
    picture = tmp_path / "profile.png"
    call(figures.main, "--figure", "chinchilla_profile", "--chinchilla", fit, "--profile", profile, "--output", picture)
    assert picture.stat().st_size > 1000


def test_wrong_bytes_and_missing_files_are_refused(tmp_path: Path, call: Callable[..., None]) -> None:
    file = tmp_path / "svg_extracted_data.csv"
    file.write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="sha256 is"):
        points.obtain(str(file))
    with pytest.raises(SystemExit, match=r"^error: No such file or directory: .*nowhere\.csv"):
        call(points.main, "--source", tmp_path / "nowhere.csv", "--output", tmp_path / "points.csv")
    with pytest.raises(InputError, match="no column Model Size, Training FLOP, loss; the columns are x, y; give"):
        points.parse(file.read_bytes(), "points.csv")
    with pytest.raises(InputError, match=r"points\.csv: not a CSV table"):
        points.parse(b"", "points.csv")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 200 OK\r\n\r\nlog in to this network", b"HTTP/1.0 404 no\r\n\r\n", b"?\r\n", b""]
)
def test_a_nonsense_answer_counts_as_no_network(
    answer: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("no_proxy", "*")

    class Nonsense(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert points.obtain(f"http://127.0.0.1:{server.server_address[1]}/file.csv") is None
        thread.join()
    assert "the Chinchilla part is not run" in caplog.text


def test_chinchilla_and_joint_tables_from_points(tmp_path: Path, call: Callable[..., None]) -> None:
    table, fit, profile = tmp_path / "points.csv", tmp_path / "fit.csv", tmp_path / "profile.csv"
    tables.write("chinchilla_points", made_up_points(), table)
    common = ["--points", table, "--shapes", SHAPES, "--excluded", 3, "--resamples", 20]
    call(chinchilla.main, *common, "--fit", fit, "--profile", profile, "--widths", tmp_path / "widths.csv")
    rows = tables.read("chinchilla_fit", fit).set_index(["estimator", "n_excluded"])
    assert len(rows) == 6
    assert (rows["status"] == "converged").all()
    assert rows["alpha"].to_numpy() == pytest.approx(0.35, abs=0.08)
    assert rows["alpha_m"].to_numpy() == pytest.approx(2.52264 * rows["alpha"].to_numpy(), rel=1e-4)
    assert "not resampled" in rows.loc[("least_absolute", 3), "note"]
    curve = tables.read("chinchilla_profile", profile)
    assert curve["excess"].min() == pytest.approx(0, abs=1e-6)
    call(joint.main, *common, "--output", tmp_path / "joint.csv")
    assert set(tables.read("joint_fit", tmp_path / "joint.csv")["n_unmatched"]) == {0}
    picture = tmp_path / "profile.svg"
    call(figures.main, "--figure", "chinchilla_profile", "--chinchilla", fit, "--profile", profile, "--output", picture)
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize("n", [2, 5])
def test_two_points_are_a_status(n: int) -> None:
    k = chinchilla.width_table(published.read(SHAPES, chinchilla.SHAPES)).iloc[0]
    fits, profiles = chinchilla.chinchilla_tables(made_up_points(n), k, [0], 10, 0)
    assert (fits["status"] == "too few points").all()
    assert profiles.empty
    tables.validate("chinchilla_fit", fits, "test")


def test_excluding_too_many_points_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"excluded points must be 0 \.\. 4, got 5"):
        chinchilla.kept(np.arange(1.0, 6), 5)


def test_width_exponent_of_two_widths_is_a_status() -> None:
    row = chinchilla.width_exponent(np.array([512.0, 1024, 1024]), np.array([1e8, 4e8, 5e8]))
    assert row["status"] == "too few points"


def test_llm_figure(tmp_path: Path, call: Callable[..., None]) -> None:
    losses, fit, intercepts = PUBLISHED / "fig8b_llm_loss.csv", tmp_path / "fit.csv", tmp_path / "intercepts.csv"
    call(llm.main, "--published", losses, "--resamples", 20, "--fit", fit, "--intercepts", intercepts)
    picture = tmp_path / "fig8b.png"
    given = ["--llm-fit", fit, "--llm-intercepts", intercepts, "--losses", losses]
    call(figures.main, "--figure", "fig8b_llm_loss", *given, "--output", picture)
    assert picture.stat().st_size > 10_000
    with pytest.raises(SystemExit, match="this figure needs --llm-intercepts"):
        call(figures.main, "--figure", "fig8b_llm_loss", "--llm-fit", fit, "--output", picture)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.73, 1.09, "0.91 [0.73, 1.09]"),
        (np.nan, 1.09, "0.91, < 1.09"),
        (0.73, np.nan, "0.91, > 0.73"),
        (np.nan, np.inf, "0.91, no bound"),
        (-0.001, 1.09, "0.91 [0.00, 1.09]"),
    ],
)
def test_an_end_that_is_not_bounded_is_no_number(low: float, high: float, text: str) -> None:
    assert figures.interval_text(0.91, low, high) == text
