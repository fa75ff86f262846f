"""Reading YAML: plain data with lines, and errors that say file, line and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from cortexsim import yamlio
from cortexsim.errors import ProtocolError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int
    end: float | None = Field(default=None, alias="until")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    parts: list[Inner] = []
    inner: Inner | None = None


def problem(text: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        yamlio.validate(Outer, yamlio.loads(text, ProtocolError, "a.yaml"), ProtocolError)
    return str(caught.value)


def test_lines_of_keys_and_items() -> None:
    text = "# comment\nname: x\nparts:\n  - {width: 1}\n  - width: 2\n    until: 3\n"
    document = yamlio.loads(text, ProtocolError, "a.yaml")
    assert document.data == {"name": "x", "parts": [{"width": 1}, {"width": 2, "until": 3}]}
    assert document.where(("name",)) == "a.yaml:2"
    assert document.where(("parts", 1, "until")) == "a.yaml:6"
    assert document.where(("parts", 1, "nowhere")) == "a.yaml:5"
    assert document.text == text
    assert yamlio.validate(Outer, document, ProtocolError).parts[1].end == 3


def test_a_misspelt_key_names_the_nearest() -> None:
    message = problem("name: x\nparts:\n  - widht: 1\n")
    assert "a.yaml:3: unknown key 'widht'; did you mean 'width'? known: width, until" in message
    assert "the key 'width' is missing in parts.0" in message
    assert "a.yaml:2: unknown key 'nmae'; did you mean 'name'?" in problem("name: x\nnmae: y\n")
    assert "known: width, until" in problem("name: x\ninner: {width: 1, depth: 2}\n")


def test_wrong_values() -> None:
    assert problem("name: x\nparts: 3\n") == (
        "a.yaml:2: parts: should be a list, as in [a, b], got 3"
    )
    assert problem("name: x\nparts: [{width: wide}]\n").startswith("a.yaml:2: parts.0.width: ")
    assert problem("parts: []\n") == "a.yaml:1: the key 'name' is missing"
    assert "a.yaml:1: inner: should be keys and values" in problem("{name: x, inner: 7}")


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n", "3"])
def test_not_keys_and_values(text: str) -> None:
    assert problem(text) == "a.yaml: expected keys and values, as in 'name: ...'"


@pytest.mark.parametrize(
    ("text", "part"),
    [("name: [1\n", "a.yaml:"), ("a: 1\na: 2\n", "a.yaml:2: "), ("a: b: c\n", "a.yaml:1: "),
     ("a: 1\n---\nb: 2\n", "a.yaml:2: "), ("\ta: 1\n", "a.yaml:1: "),
     ("a: &x {b: *x}\n", "a.yaml:1: "),
     ("a: \x00\n", "not YAML"), ("? [a]\n: b\n", "a.yaml:1: "), ("a: " + "[" * 50 + "]" * 50, "")],
)
def test_not_yaml(text: str, part: str) -> None:
    assert part in problem(text)


def test_many_aliases_are_refused_quickly() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 9)]
    assert "more entries" in problem("\n".join(lines))


def test_a_bool_with_an_anchor_stays_a_bool() -> None:
    data = yamlio.loads("a: &x true\nb: *x\n", ProtocolError).data
    assert data == {"a": True, "b": True}
    assert [type(value) for value in data.values()] == [bool, bool]


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("name: Ärger\n", encoding="utf-8")
    assert yamlio.read(good, ProtocolError).data == {"name": "Ärger"}
    binary, large = tmp_path / "binary.yaml", tmp_path / "large.yaml"
    binary.write_bytes(b"name: \xff\xfe")
    large.write_bytes(b" " * (yamlio.MAX_BYTES + 1))
    for path, part in [(binary, "not a text file"), (large, "larger than"),
                       (tmp_path, "cannot be read"), (tmp_path / "no.yaml", "cannot be read")]:
        with pytest.raises(ProtocolError, match=part) as caught:
            yamlio.read(path, ProtocolError)
        assert str(path) in str(caught.value)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-10**6, 10**6) | st.text("abc -:#'\"[]{}$", max_size=8)
    | st.floats(-1e6, 1e6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abcdef", min_size=2, max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text("uvwxyz", min_size=1, max_size=4), plain, max_size=4))
def test_what_is_written_is_read_back(data: dict[str, object]) -> None:
    # as JSON, which is YAML: ruamel 0.19.1 writes ': -' in a way it cannot read
    assert yamlio.loads(json.dumps(data, indent=1), ProtocolError).data == data


@settings(max_examples=150, deadline=None)
@given(st.text("ab1.:-{}[]&*!<|>%@`'\"?,# \n\t$~", max_size=30))
def test_any_text_is_read_or_is_one_of_our_errors(text: str) -> None:
    try:
        yamlio.loads(text, ProtocolError, "a.yaml")
    except ProtocolError as problem_:
        assert str(problem_).startswith("a.yaml")


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "c:\n  - x: 1\n    a: 1\n    a: {b: 2}\n"])
def test_a_key_given_twice(text: str) -> None:
    line = 1 + max(n for n, found in enumerate(text.splitlines()) if found.strip()[0] == "a")
    with pytest.raises(ProtocolError) as caught:
        yamlio.loads(text, ProtocolError, "p.yaml")
    assert str(caught.value) == f"p.yaml:{line}: the key 'a' is given twice in one place"
