"""The JSON Schema of protocol files, with which editors complete keys and mark mistakes."""

from __future__ import annotations

import re
from typing import Any

from ... import __version__
from ...schema import NONE, NOTHING
from .. import changes, masks
from ..sequences import ANSWERS, ASKS
from .core import DRAWN, GREY, SET, TARGET
from .entries import INTERVENTIONS, SEQUENCE, SPECIAL_KEYS, STREAM
from .file import ProtocolFile
from .values import REFERENCE_SCHEMA, WORD

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: Images with a number, those of further sources among them.
_NUMBERED = {"type": "string", "pattern": rf"^{WORD.pattern}_[1-9][0-9]{{0,5}}$"}


def schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a protocol file.

    What a file may hold besides depends on its other parts (whether times fit, which
    factors there are): that is for the protocol's own reading to say.
    """
    found = _tidy(ProtocolFile.model_json_schema())
    entry, done = (found["$defs"][name] for name in ("Entry", "InterventionEntry"))
    images = [*DRAWN[1:], *(f"{name}_1" for name in DRAWN)]
    words = [TARGET, GREY, NONE, NOTHING, *masks.REGISTRY, *images]
    properties = entry["properties"]
    properties["show"] |= _any({"enum": [*words, SEQUENCE, STREAM]}, _NUMBERED, REFERENCE_SCHEMA)
    properties["of"] |= _any({"enum": [TARGET, SET, *images]}, _NUMBERED, REFERENCE_SCHEMA)
    properties["ask"] |= {"enum": [*ASKS]}
    properties["answers"] |= {"enum": [*ANSWERS]}
    properties["change"] |= {
        "additionalProperties": False,
        "properties": {name: _change(kind) for name, kind in changes.REGISTRY.items()},
    }
    entry["allOf"] = _entry_rules()
    done["allOf"] = _intervention_rules()
    found["allOf"] = [_one("ms_per_step", "refresh_hz"), _one("duration_ms", "duration")]
    return {"$schema": DIALECT, "$comment": f"CortexSim {__version__}", **found}


def _tidy(node: Any, names: bool = False) -> Any:
    """Take out what only Python needs: titles, nulls, marks of code; `names`: keys are names."""
    if isinstance(node, list):
        return [_tidy(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    left = {key: _tidy(inner, names=key in ("properties", "$defs") and not names)
            for key, inner in node.items()
            if names or (key != "title" and (key, inner) != ("default", None))}
    if names:
        return left
    if "description" in left:
        left["description"] = re.sub(r"\s+", " ", left["description"]).replace("``", "")
    kinds = [kind for kind in left.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del left["anyOf"]
        left |= kinds[0]
    elif kinds:
        left["anyOf"] = kinds
    return left


def _change(kind: changes.Kind) -> Schema:
    parameters = {name: _value(parameter) for name, parameter in kind.parameters.items()}
    needed = [name for name, told in kind.parameters.items() if told.default is None]
    by_name = {"type": "object", "properties": parameters, "additionalProperties": False,
               "required": needed}
    alone = [parameters[kind.main]] if {*needed} <= {kind.main} else []
    summary = (kind.apply.__doc__ or "").strip().splitlines()[0]
    return {"description": summary, **_any(*alone, by_name)}


def _value(parameter: changes.Parameter) -> Schema:
    kinds: list[Schema] = []
    if parameter.number:
        kinds.append({"type": "integer" if parameter.whole else "number",
                      "minimum": parameter.low, "maximum": parameter.high})
    if parameter.words:
        kinds.append({"enum": [*parameter.words]})
    about: Schema = {"description": parameter.allowed}
    if parameter.default is not None:
        about["default"] = parameter.default
    return about | _any(*kinds, REFERENCE_SCHEMA)


def _entry_rules() -> list[Schema]:
    several = [SEQUENCE, STREAM]
    rules: list[Schema] = [_one("at_ms", "at", "after_ms", "after")]
    rules.append({
        "if": {"properties": {"show": {"enum": several}}},
        "then": {"required": ["images"],
                 "allOf": [_one("each_ms", "each"),
                           _none_of("for_ms", "for", "until", "times", "of")]},
        "else": {"allOf": [_one("for_ms", "for", "until")]},
    })
    rules += [{"if": {"properties": {"show": {"not": {"enum": [*owners]}}}},
               "then": _none_of(key)} for key, owners in SPECIAL_KEYS.items()]
    rules.append({"if": {"properties": {"show": {"const": STREAM}}},
                  "then": {"required": [TARGET]}})
    return rules


def _intervention_rules() -> list[Schema]:
    rules: list[Schema] = [_one(*INTERVENTIONS)]
    rules += [{"if": {"required": [kind]}, "then": _one(*keys), "else": _none_of(*keys)}
              for kind, keys in INTERVENTIONS.items() if keys]
    rules.append({"if": {"required": ["delay"]},
                  "then": _none_of("from_ms", "from", "until_ms", "until")})
    return rules


def _any(*kinds: Schema) -> Schema:
    return {"anyOf": [*kinds]} if len(kinds) > 1 else {**kinds[0]}


def _one(*keys: str) -> Schema:
    return {"oneOf": [{"required": [key]} for key in keys]}


def _none_of(*keys: str) -> Schema:
    return {"not": {"anyOf": [{"required": [key]} for key in keys]}}
