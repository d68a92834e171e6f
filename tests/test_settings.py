"""Settings: the schema, the checks and the command line follow from one dataclass."""

import argparse
import math
from dataclasses import dataclass

import jsonschema
import pytest

from scaling import settings
from scaling.command import InputError
from scaling.settings import setting


@dataclass(frozen=True, kw_only=True)
class Example:
    """One setting of each type."""

    steps: int = setting(10, description="training steps", minimum=1, maximum=100)
    rate: float = setting(0.5, description="learning rate", exclusiveMinimum=0, exclusiveMaximum=1)
    tied: bool = setting(True, description="one matrix, 100 % shared")
    kind: str = setting("a", description="class", enum=["a", "b"])

    def __post_init__(self) -> None:
        settings.check(self)


VALUES = [
    ("steps", 1, ""),
    ("steps", 0, "steps = 0: must be finite and at least 1 and at most 100"),
    ("steps", 101, "steps = 101"),
    ("rate", 0.999, ""),
    ("rate", 0.0, "rate = 0.0: must be finite and above 0 and below 1"),
    ("rate", 1.0, "rate = 1.0"),
    ("rate", math.nan, "rate = nan"),
    ("kind", "b", ""),
    ("kind", "c", "kind = c: must be one of a, b"),
]


@pytest.mark.parametrize(("name", "value", "message"), VALUES)
def test_bounds_are_checked(name: str, value: object, message: str) -> None:
    if not message:
        assert getattr(Example(**{name: value}), name) == value
        return
    with pytest.raises(InputError, match=message):
        Example(**{name: value})


@pytest.mark.parametrize(("name", "value", "message"), [row for row in VALUES if row[1] == row[1]])
def test_the_schema_has_the_same_bounds(name: str, value: object, message: str) -> None:
    valid = jsonschema.Draft202012Validator({"properties": settings.schema(Example)}).is_valid({name: value})
    assert valid == (not message)


def test_the_schema_has_type_default_and_meaning() -> None:
    assert settings.schema(Example)["tied"] == {
        "type": "boolean",
        "default": True,
        "description": "one matrix, 100 % shared",
    }


def test_options_have_the_defaults_and_say_what_they_mean() -> None:
    parser = argparse.ArgumentParser()
    settings.add_options(parser, Example, "example")
    assert settings.from_options(Example, parser.parse_args([])) == Example()
    given = parser.parse_args(["--steps", "7", "--tied", "false", "--kind", "b"])
    assert settings.from_options(Example, given) == Example(steps=7, tied=False, kind="b")
    assert "one matrix, 100 % shared (default True)" in " ".join(parser.format_help().split())


@pytest.mark.parametrize("text", ["True", "true", "FALSE"])
def test_truth_is_read_as_yaml_and_python_write_it(text: str) -> None:
    assert settings.truth(text) == (text.lower() == "true")
    with pytest.raises(argparse.ArgumentTypeError, match="neither true nor false"):
        settings.truth("maybe")
