"""The JSON Schema takes what the parser takes, and marks the mistakes that it can see."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cortexsim import resources, yamlio
from cortexsim.errors import ProtocolError
from cortexsim.stimuli import changes, masks
from cortexsim.stimuli.protocol import Protocol
from cortexsim.stimuli.protocol.json_schema import DIALECT, schema

SCHEMA = schema()
CHECK = Draft202012Validator(SCHEMA)

HEAD = "name: x\nms_per_step: 10\nduration_ms: 100\nsources: {scenes: digits}\n"
ENTRY = "timeline: [{show: target, at_ms: 0, for_ms: 20}]\n"
FULL = """
name: full
description: All keys.
citation: Nobody 2020
model: digits-leaky
dataset: ./pictures
sources: {scenes: cifar10}
trials: 10
refresh_hz: 60
arrival_ms: 30
duration: {steps: 60}
factors: {soa: [1, 2], mask: [none, phase_scrambled], count: [3, 2], where: [V1, none],
          by: [bars, none], hidden: [0.1, 0.2]}
parallel: [[by, hidden]]
repeats: 2
blank: true
timeline:
  - {show: $mask, of: set, at: {steps: $soa}, for: {steps: 1}}
  - {show: target, after_ms: 0, for_ms: 17, times: $count, isi: {steps: 1},
     change: {contrast: 0.5, low_pass: all, occlude: {by: $by, hidden: $hidden}, translate: {y: 2}}}
  - {show: stream, images: 5, target: $count, after: {steps: 0}, each: {steps: 2}, isi_ms: 17}
  - {show: scenes_3, after_ms: {steps: 1}, until: end}
interventions:
  - {lesion: $where, from_ms: 33, until: end}
  - {lesion: [V2>V1, feedback], from: {steps: 1}, until: {steps: 9}}
  - {noise: all, sd: 0.2, until_ms: 100}
  - {clamp: [V1, V2], to: hold}
  - {clamp: V1, to: -1}
  - {scale: V1, by: $soa}
  - {delay: feedback, takes_ms: 33}
  - {delay: V2>V1, takes: {steps: 3}}
record: {areas: [V1, IT], reduce: units:5, dtype: float16, summaries: [mean, norm], every: 2,
         from_ms: 30, until_ms: 130}
summary: {readout_ms: 130, evidence_ms: [30, 130], by: repeat}
"""
SEQUENCE = HEAD + """
timeline:
  - {show: sequence, images: 3, at_ms: 0, each_ms: 10, ask: previous, answers: end, delay_ms: 10}
"""


def problems(text: str) -> list[str]:
    data = yamlio.loads(text, ProtocolError).data
    return [problem.message for problem in CHECK.iter_errors(data)]


def test_it_is_a_schema_of_this_draft() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("name", resources.protocols())
def test_it_takes_the_protocols_that_come_along(name: str) -> None:
    assert problems(resources.protocols()[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", [FULL, SEQUENCE, HEAD + ENTRY])
def test_it_takes_every_key(text: str) -> None:
    Protocol.from_text(text)
    assert problems(text) == []


@pytest.mark.parametrize("text", [
    HEAD + ENTRY + "sumary: {readout_ms: 20}\n",
    HEAD + ENTRY.replace("for_ms: 20", "for_ms: 20, until: end"),
    HEAD + ENTRY.replace("for_ms: 20", "until: stop"),
    HEAD + ENTRY.replace("at_ms: 0", "at_ms: 0, after_ms: 0"),
    HEAD + ENTRY.replace("at_ms: 0, ", ""),
    HEAD + ENTRY.replace("at_ms: 0", "at: 0"),
    HEAD + ENTRY.replace("at_ms: 0", "at_ms: soon"),
    HEAD + ENTRY.replace("target", "traget"),
    HEAD + ENTRY.replace("20}", "20, times: 1.5}"),
    HEAD + ENTRY.replace("20}", "20, images: 3}"),
    HEAD + ENTRY.replace("20}", "20, change: {contrast: 2}}"),
    HEAD + ENTRY.replace("20}", "20, change: {contrst: 1}}"),
    HEAD + ENTRY.replace("20}", "20, change: {occlude: {by: bars}}}"),
    HEAD + ENTRY.replace("20}", "20, change: {occlude: {hidden: 0.5, by: clouds}}}"),
    HEAD + ENTRY.replace("20}", "20, change: {translate: 0.5}}"),
    HEAD.replace("ms_per_step: 10", "refresh_hz: 60\nms_per_step: 10") + ENTRY,
    HEAD.replace("duration_ms: 100", "") + ENTRY,
    HEAD + "timeline: []\n",
    HEAD + "timeline: [{show: stream, at_ms: 0, images: 3, each_ms: 10}]\n",
    HEAD + "timeline: [{show: stream, at_ms: 0, target: 3, each_ms: 10}]\n",
    HEAD + "timeline: [{show: stream, at_ms: 0, images: 3, target: 1, for_ms: 10}]\n",
    HEAD + "timeline: [{show: sequence, at_ms: 0, images: 3, each_ms: 10, ask: next}]\n",
    HEAD + ENTRY + "interventions: [{lesion: V1, noise: V2, sd: 1}]\n",
    HEAD + ENTRY + "interventions: [{noise: V2}]\n",
    HEAD + ENTRY + "interventions: [{lesion: V2, sd: 1}]\n",
    HEAD + ENTRY + "interventions: [{delay: feedback, takes_ms: 20, from_ms: 10}]\n",
    HEAD + ENTRY + "interventions: [{lesion: V2, until: late}]\n",
    HEAD + ENTRY + "record: {reduce: median}\n",
    HEAD + ENTRY + "record: {dtype: float64}\n",
    HEAD + ENTRY + "factors: {a: 3}\n",
    HEAD + ENTRY + "repeats: 0\n",
])
def test_it_marks_what_the_parser_refuses(text: str) -> None:
    with pytest.raises(ProtocolError):
        Protocol.from_text(text)
    assert problems(text)


def test_every_key_is_described_and_changes_are_those_of_the_registry() -> None:
    def keys(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        here = [f"{path}.{name}" for name, told in node.get("properties", {}).items()
                if not told.get("description") and name != "steps"]
        inner = [keys(told, f"{path}.{name}")
                 for name, told in {**node.get("properties", {}), **node.get("$defs", {})}.items()]
        return here + [key for found in inner for key in found]

    assert keys(SCHEMA, "") == []
    entry = SCHEMA["$defs"]["Entry"]["properties"]
    assert entry["change"]["properties"].keys() == changes.REGISTRY.keys()
    assert {*masks.REGISTRY} < {*entry["show"]["anyOf"][0]["enum"]}
    hidden = entry["change"]["properties"]["occlude"]["anyOf"][1]["properties"]["hidden"]
    assert hidden["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 1}
