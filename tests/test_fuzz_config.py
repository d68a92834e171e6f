"""Configs made from the schemas: a valid one plans, any other ends in one line that names the place.

`make test` tries the same few hundred each time, `make test-slow` thousands of new ones.
"""

import copy
import datetime
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from scaling.command import InputError
from scaling.plan.config import checked, read_schemas
from scaling.toy import training
from scaling.toy.study import distinct_cells, stacks, training_arguments


ROOT = Path(__file__).parents[1]
SCHEMAS = read_schemas(ROOT / "workflow" / "schemas")
EXAMPLES = pytest.mark.parametrize("examples", [100, pytest.param(2000, marks=pytest.mark.slow)])
FEW = pytest.mark.parametrize("examples", [3, pytest.param(40, marks=pytest.mark.slow)])


def numbers(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Integers or floats in the schema's range."""
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if schema["type"] == "integer":
        low = -(2**40) if low is None else low
        return st.integers(low, min(low + 60 if high is None else high, low + 60))
    return st.floats(
        low,
        high if high is not None else schema.get("exclusiveMaximum"),
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
        allow_nan=False,
        allow_infinity=False,
    )


def texts(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Texts that fit the schema's pattern, or printable ones."""
    if "pattern" in schema:
        some = st.from_regex(schema["pattern"], fullmatch=True).filter(str.isprintable)
    else:
        some = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="{}"), min_size=1, max_size=9)
    return some.filter(lambda text: len(text) <= schema.get("maxLength", 60))


def valid(schema: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema, in the part of the language that ours use, lets pass."""
    if "$ref" in schema:
        return valid(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    if parts := schema.get("anyOf", schema.get("oneOf")):
        return st.one_of([valid(part, root) for part in parts])
    if isinstance(schema["type"], list):
        return st.one_of([valid({**schema, "type": one}, root) for one in schema["type"]])
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return numbers(schema)
        case "string":
            return texts(schema)
        case "array":
            unique = (lambda item: json.dumps(item, sort_keys=True)) if schema.get("uniqueItems") else None
            items = valid(schema["items"], root)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=3, unique_by=unique)
    keys = {key: valid(part, root) for key, part in schema.get("properties", {}).items()}
    needed = {key: keys.pop(key) for key in schema.get("required", [])}
    if keys or needed:
        fewest = schema.get("minProperties", 0)
        return st.fixed_dictionaries(needed, optional=keys).filter(lambda found: len(found) >= fewest)
    names = valid({"type": "string", **schema.get("propertyNames", {})}, root)
    return st.dictionaries(names, valid(schema["additionalProperties"], root), min_size=1, max_size=3)


SECTIONS = st.fixed_dictionaries({name: valid(schema, schema) for name, schema in SCHEMAS.items()})
JUNK = st.one_of(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    st.sampled_from([10**5000, -(10**400), 1e308, 10.0, "", "\0", "a\nb", "../..", "{m}", "x" * 400, "\ud800"]),
    st.sampled_from([b"x", datetime.date(2020, 1, 1), {"from": 0}, {"points": 1}, [], [[]], {}, {1: 2}, {None: 0}]),
    st.recursive(
        st.integers(), lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part), max_leaves=5
    ),
)


@pytest.fixture(scope="module")
def checked_config() -> Callable[[Any], dict[str, Any]]:
    """The function by which the Snakefile takes its config."""
    return lambda config: checked(config, SCHEMAS)


def message(checked_config: Callable[[Any], Any], config: Any) -> str:
    """The one line with which a config is refused; empty for one that is taken."""
    try:
        checked_config(config)
    except InputError as error:
        text = str(error)
    else:
        return ""
    assert text.isprintable()
    assert text.startswith("config")
    assert len(text) < 3000
    return text


def repaired(config: dict[str, Any]) -> dict[str, Any]:
    """A valid config in which the values also go together, as no schema can say."""
    toy = config["toy"]
    config["llm"].pop("family", None)  # widths, heads and steps restrict each other
    config["bigram"] = config["correlation"] = {}  # so do the settings of their laws
    toy.pop("interventions", None)  # their models must be trained by an experiment
    for recipe in toy["trainings"].values():
        recipe["steps"] = max(recipe.get("steps", 20_000), recipe.get("warmup_steps", 2000))
    for grids in toy["experiments"].values():
        for grid in grids:
            widths = grid["m"] if isinstance(grid["m"], list) else [grid["m"]]
            grid |= {"training": min(toy["trainings"]), "n": max(*widths, 2), "seeds": min(grid.get("seeds", 1), 3)}
            grid |= {"activation_density": 1e-3, "alpha": 0.5}
            if isinstance(gamma := grid["gamma"], dict):
                grid["gamma"] = {"from": gamma["from"] / 2, "to": gamma["to"] / 2, "points": min(gamma["points"], 5)}
    return config


def check_planned(checked_config: Callable[[Any], dict[str, Any]], config: dict[str, Any]) -> None:
    """Fail unless the config is taken, and its jobs train the models that it asks for."""
    config = repaired(config)
    before = copy.deepcopy(config)
    refused = message(checked_config, config)
    assume("share a name" not in refused)  # values that differ by less than six digits
    assert not refused
    assert config == before
    toy = checked_config(config)["toy"]
    cells = distinct_cells(toy)
    assert all(math.isfinite(cell.gamma) for cell in cells.values())
    for stack in stacks(toy).values():
        asked = training.arguments_parser().parse_args([*training_arguments(stack, toy), "--folder", "x"])
        assert {cell.name for cell in training.asked_cells(asked)} == {cell.name for cell in stack}
    cell = next(iter(cells.values()))
    asked = training.arguments_parser().parse_args([*training_arguments([cell], toy), "--folder", "x"])
    assert training.asked_cells(asked) == [cell]
    assert {name: getattr(asked, name) for name in toy["trainings"][cell.training]} == toy["trainings"][cell.training]


@EXAMPLES
def test_configs_that_fit_together_plan(examples: int, checked_config: Callable[[Any], dict[str, Any]]) -> None:
    @settings(max_examples=examples)
    @given(SECTIONS)
    def one(config: dict[str, Any]) -> None:
        check_planned(checked_config, config)

    one()


@EXAMPLES
def test_configs_that_the_schema_lets_pass_plan_or_are_named(
    examples: int, checked_config: Callable[[Any], dict[str, Any]]
) -> None:
    @settings(max_examples=examples)
    @given(SECTIONS)
    def one(config: dict[str, Any]) -> None:
        text = message(checked_config, config)
        assert not text or text.startswith(
            ("config, toy: ", "config: llm: family: ", "config: bigram: ", "config: correlation: ")
        )

    one()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a config, as the keys to it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[Any, tuple[Any, ...]]:
    """A config with junk in one place: a value, a key that is not known, or one that is gone; and the keys to it."""
    config = repaired(draw(SECTIONS))
    place = draw(st.sampled_from(places(config)))
    if not place:
        return draw(JUNK), ()
    above = config
    for key in place[:-1]:
        above = above[key]
    how = draw(st.sampled_from(["value", "key", "gone"]))
    if how == "gone" or (how == "key" and isinstance(above, list)):
        del above[place[-1]]
    elif how == "key":
        above[draw(JUNK.filter(lambda key: isinstance(key, str | int | float | bytes) or key is None))] = draw(JUNK)
    else:
        above[place[-1]] = draw(JUNK)
    return config, place[:-1]


@EXAMPLES
def test_spoiled_configs_plan_or_are_named(examples: int, checked_config: Callable[[Any], dict[str, Any]]) -> None:
    """The message names the keys down to the one that was spoiled, or the part of the config where things clash."""

    @settings(max_examples=examples)
    @given(spoiled())
    def one(example: tuple[Any, tuple[Any, ...]]) -> None:
        config, above = example
        text = message(checked_config, config)
        if text and above:
            assert str(above[0]) in text
            assert text.startswith("config, toy") or all(f"{key}" in text for key in above[:3])

    one()


@FEW
def test_the_same_by_snakemake(examples: int, checked_config: Callable[[Any], dict[str, Any]]) -> None:
    """As a user runs it: exit code 0 and a plan, or exit code 1 and that line; never a traceback."""

    @settings(max_examples=examples, phases=[Phase.generate])
    @given(SECTIONS.map(repaired) | spoiled().map(lambda example: example[0]))
    def one(config: Any) -> None:
        try:
            text = yaml.safe_dump(config)
            config = yaml.safe_load(text)
        except (yaml.YAMLError, UnicodeError, ValueError):
            assume(False)
        assume(isinstance(config, dict))  # Snakemake's own message for others
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.yaml").write_text(text, encoding="utf-8")
            command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
            done = subprocess.run(
                [*command, "toy", "--cores", "1", "--dry-run", "--quiet"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        refused = message(checked_config, config)
        if refused:
            assert done.returncode == 1
            assert refused in said
        else:
            assert done.returncode == 0 or "config: llm: " in said

    one()
