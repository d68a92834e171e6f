"""Check the config and fill in defaults, with the schemas in workflow/schemas and the parts the package defines.

A schema refers to such a part as {$ref: "scaling:NAME"}; a description may accompany the reference.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from scaling.bigram.study import cells as bigram_cells
from scaling.bigram.study import flows as bigram_flows
from scaling.command import InputError
from scaling.config import check, with_defaults
from scaling.frequency_laws import FREQUENCY_LAWS
from scaling.llm.family import members as family
from scaling.settings import schema as schema_of
from scaling.toy import recipe
from scaling.toy.correlated import cells as correlated_cells
from scaling.toy.study import interventions


PREFIX = "scaling:"


def frequency_law_schema() -> dict[str, Any]:
    """Return the schema of the axis frequency_law: a registered law, or a list of them."""
    laws = ", ".join(f"{name} (p_i ~ {law.formula})" for name, law in FREQUENCY_LAWS.items())
    return {
        "description": f"law of the feature frequencies: {laws}, or a list of them",
        "anyOf": [
            {"enum": list(FREQUENCY_LAWS)},
            {"type": "array", "minItems": 1, "items": {"enum": list(FREQUENCY_LAWS)}},
        ],
    }


def object_schema(settings: type) -> dict[str, Any]:
    """Return the schema of a section whose keys are the fields of a settings dataclass."""
    return {"type": "object", "additionalProperties": False, "properties": schema_of(settings)}


GENERATED: dict[str, Callable[[], dict[str, Any]]] = {
    "frequency_law": frequency_law_schema,
    "toy_recipe": lambda: object_schema(recipe.Recipe),
    "family_recipe": lambda: object_schema(family.Recipe),
}


def filled(part: Any) -> Any:
    """Return a part of a schema with every reference to the package replaced; keys beside a reference are kept.

    `properties` beside a reference join those of the generated part.
    """
    if isinstance(part, list):
        return [filled(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    reference = part.get("$ref")
    rest = {key: filled(value) for key, value in part.items() if key != "$ref"}
    if not (isinstance(reference, str) and reference.startswith(PREFIX)):
        return {**rest, "$ref": reference} if reference is not None else rest
    generated = GENERATED[reference.removeprefix(PREFIX)]()
    if "properties" in rest and "properties" in generated:
        rest["properties"] = {**generated["properties"], **rest["properties"]}
    return {**generated, **rest}


def read_schemas(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the schema of each section of the config by the section's name, from the *.schema.yaml files."""
    return {
        file.name.removesuffix(".schema.yaml"): filled(yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in sorted(folder.glob("*.schema.yaml"))
    }


def checked(config: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the config with every default.

    Raises InputError with one line that names the key, its value and what is allowed.
    """
    sections = {name: {"type": "object", "default": {}} for name in schemas}
    check(config, {"type": "object", "additionalProperties": False, "properties": sections})
    whole = {name: config.get(name, {}) for name in schemas}
    for name, schema in schemas.items():
        check(whole[name], schema, f"config: {name}")
        whole[name] = with_defaults(whole[name], schema)
    interventions(whole["toy"])
    bigram_cells(whole["bigram"])
    bigram_flows(whole["bigram"])
    correlated_cells(whole["correlation"])
    section = whole["llm"]["family"]
    try:
        family.members(section["models"], family.recipe_of(section))
    except InputError as error:
        raise InputError(f"config: llm: family: {error}") from None
    return whole
