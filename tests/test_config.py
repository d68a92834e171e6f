from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaling.command import InputError
from scaling.config import check, merged, with_defaults
from scaling.llm.family.members import recipe_of
from scaling.plan.config import read_schemas
from scaling.toy.recipe import Recipe
from scaling.toy.study import GRID_DEFAULTS


ROOT = Path(__file__).parents[1]
SCHEMAS = read_schemas(ROOT / "workflow" / "schemas")
TOY_SCHEMA = SCHEMAS["toy"]


def descriptions(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Key, default and description of every key of a schema, in order."""
    for key, part in schema.get("properties", {}).items():
        yield f"{path}{key}", part.get("default", ""), part.get("description", "")
        yield from descriptions(part, f"{path}{key}: ")
        for nested in (part.get("additionalProperties"), part.get("items")):
            if isinstance(nested, Mapping):
                yield from descriptions(nested, f"{path}{key}: … ")
                if isinstance(nested.get("items"), Mapping):
                    yield from descriptions(nested["items"], f"{path}{key}: … ")


@pytest.mark.parametrize("file", ["config.yaml", "config/paper.yaml", "config/losses.yaml", "tests/smoke.yaml"])
def test_configs_of_the_repository_are_valid(file):
    config = yaml.safe_load((ROOT / file).read_text())
    for name, section in config.items():
        check(section, SCHEMAS[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_has_a_description(name):
    for key, _, description in descriptions(SCHEMAS[name]):
        leaf = key.split(": ")[-1]
        assert description or leaf in ("from", "to", "points"), key


def toy(**grid):
    return {
        "trainings": {"paper": {}},
        "experiments": {"sweep": [{"training": "paper", "m": [10], "gamma": [-1], **grid}]},
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**toy(), "trainigs": {}}, "unknown key 'trainigs'.* did you mean trainings"),
        (toy(gama=1), "config: experiments: sweep: 0: unknown key 'gama'.*did you mean gamma"),
        (toy(m=[]), "config: experiments: sweep: 0: m"),
        (toy(m=["10"]), "config: experiments: sweep: 0: m"),
        (toy(seeds=0), "0 is less than the minimum of 1 .number of seeds"),
        (toy(alpha="one"), "alpha: 'one' .*a number, a list, or"),
        (toy(m=[10.0]), "config: experiments: sweep: 0: m: 0: 10.0 is not of type 'integer'"),
        (toy(gamma=float("nan")), "config: experiments: sweep: 0: gamma: nan is not a finite number"),
        (toy(seeds=10**5000), "seeds: an integer of more than 64 bits is not a finite number"),
        (toy(training="a\nb"), r"training: 'a.nb' must be printable text"),
        (toy(training="x" * 9999 + "{m}"), "x… must be printable text on one line, without braces"),
        ({"trainings": {1: {}}, "experiments": {}}, "config"),
        (toy(n=10**9), "1000000000 is greater than the maximum of 1000000"),
        (toy(gamma={"from": 0, "to": 1}), "gamma"),
        ({"trainings": {"paper": {"steps": -1}}, "experiments": {}}, "config"),
    ],
)
def test_a_bad_config_is_named_in_one_line(config, message):
    with pytest.raises(InputError, match=message) as caught:
        check(config, TOY_SCHEMA)
    assert "\n" not in str(caught.value)


def test_defaults_of_schema_and_package_are_the_same():
    filled = with_defaults(toy(), TOY_SCHEMA)
    assert Recipe(**filled["trainings"]["paper"]) == Recipe()
    (grid,) = filled["experiments"]["sweep"]
    assert {key: grid[key] for key in GRID_DEFAULTS} == GRID_DEFAULTS
    assert toy() == toy()


def test_defaults_of_the_family_are_the_package_s():
    assert recipe_of(with_defaults({}, SCHEMAS["llm"])["family"]) == recipe_of({})


def test_later_config_files_are_first_in_force_key_by_key(tmp_path: Path) -> None:
    for name, text in {
        "a": "toy: {engine: numba, grids: [1, 2]}\nfits: {x: 1}",
        "b": "toy: {grids: [3]}",
        "c": "",
    }.items():
        (tmp_path / name).write_text(text)
    expected = {"toy": {"engine": "numba", "grids": [3]}, "fits": {"x": 1}}
    assert merged(tmp_path / name for name in "abc") == expected
