"""Hostile inputs: files that are nearly right, bytes that are nothing, and what lies between."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

#: What stands where something else is expected.
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3.5, 10**9, -10**9, 10**18, 10**400, 2**63, 1e308, 1e-9, -0.0,
    float("nan"), float("inf"), "", " ", "x", "none", "all", "end", "target", "sequence", "stream",
    "$x", "$soa_ms", "../../x", "/etc/passwd", "~/x", "..", "C:\\x", "\x1b[31mred\x07", "a\nb",
    "<script>alert(1)</script>", "{{ 7*7 }}", "$\\frac{x$", "\ud800", "\u202eabc", "\x00",
    "9" * 5000,
    "x" * 5000, "../" * 50, "inf", "nan", "1e400", "float8_e4m3fn", "pickle", "object", [], {},
    [[]],
    [0] * 300, ["V1"] * 50, [None], [1, 2, 3], [1, "inf"], {"x": 1}, {"steps": 10**9},
    {"steps": 4}, {"": {"": {"": {}}}}, {"shape": [1, 10**6, 10**6]}, [10**6, 1, 1],
    [1, 10**9, 10**9],
    {"name": "pickle", "configuration": {}}, {"file": "../x.safetensors", "sha256": "0"},
]
#: What is put into text.
TOKENS = [
    "&a ", "*a", "<<: *a", "!!python/object/apply:os.system ['true']", "!!binary ", "? ", "- ",
    "{", "}", "[", "]", "[" * 60, "{a: " * 60, ": ", "|\n", ">\n", "\t", "---\n", "...\n",
    "%YAML 9.9\n", "\x00", "\x1b[2J",
    "\u202e", "\ufeff", "2001-01-01", "0x" + "f" * 50, "9" * 4500, "1e999", ".nan",
    ".inf", "'", '"', "#", "@", "$", "\n", "\\ud800", "\\u001b", ",", "=", "null", "0o7", "1:30:00",
    "~",
    "Infinity", "-", "1_000",
]
Path_ = tuple[Any, ...]


def places(node: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Yield the place of each value in plain data."""
    inner = node.items() if isinstance(node, dict) else (
        enumerate(node) if isinstance(node, list) else ())
    for key, value in inner:
        yield (*here, key)
        yield from places(value, (*here, key))


#: An operation, where, and with what.
STEPS = st.lists(
    st.tuples(st.sampled_from(["replace", "replace", "replace", "delete", "rename", "add", "swap",
                               "wrap", "repeat"]),
              st.integers(0, 10**6),
              st.sampled_from(VALUES) | st.integers() | st.floats() | st.text(max_size=12)),
    min_size=1, max_size=4)


def changed(data: Any, steps: list[tuple[str, int, Any]]) -> Any:
    """Return plain data with some of its values replaced, renamed, moved or gone."""
    data = json.loads(json.dumps(data))  # a copy
    for how, where, given in steps:
        value = copy.deepcopy(given)  # it may be changed in its turn
        known = list(places(data))
        if not known:
            return value
        *above, key = known[where % len(known)]
        owner = data
        for part in above:
            owner = owner[part]
        if how == "replace":
            owner[key] = value
        elif how == "delete":
            del owner[key]
        elif how == "wrap":
            owner[key] = [owner[key]] if where % 2 else {"x": owner[key]}
        elif how == "swap":
            *other, name = known[(where // 7) % len(known)]
            if other == above:
                owner[key], owner[name] = owner[name], owner[key]
        elif how == "repeat" and isinstance(owner[key], list):
            owner[key] = owner[key] * (where % 200)
        elif isinstance(owner, dict):
            owner[str(value)] = (copy.deepcopy(owner[key]) if how == "add" else
                                 owner.pop(key))
    return data


def _spliced(text: str, cuts: list[tuple[int, int, str]]) -> str:
    for start, length, token in cuts:
        at = start % (len(text) + 1)
        text = text[:at] + token + text[at + length:]
    return text


CUTS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 40),
                          st.sampled_from(TOKENS) | st.text(max_size=6)), min_size=1, max_size=4)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def inputs(form: str, seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return inputs of a form, most of them near one of the seeds."""
    nothing = st.binary(max_size=200)
    if form == "tensors":
        return _tensors(seeds) | _bitten(seeds) | nothing
    if form == "bytes":
        return _bitten(seeds) | nothing
    texts = [seed.decode() for seed in seeds]
    spliced = st.builds(lambda text, cuts: _bytes(_spliced(text, cuts)),
                        st.sampled_from(texts), CUTS)
    written = st.text(max_size=200).map(_bytes)
    if form == "text":
        return spliced | _bitten(seeds) | written | nothing
    plain = ([json.loads(json.dumps(YAML(typ="safe", pure=True).load(text))) for text in texts]
             if form == "yaml" else [json.loads(text) for text in texts])
    near = st.builds(lambda data, steps: json.dumps(changed(data, steps)).encode(),
                     st.sampled_from(plain), STEPS)
    return near | near | spliced | written | nothing


def _bitten(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return seeds of which some bytes are others."""
    def bite(seed: bytes, bites: list[tuple[int, bytes]], end: int) -> bytes:
        data = bytearray(seed)
        for at, new in bites:
            at %= len(data) + 1
            data[at:at + len(new)] = new
        return bytes(data[:len(data) - end % 50] if end % 5 == 0 else data)

    return st.builds(bite, st.sampled_from(seeds), st.lists(
        st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=8)), max_size=4),
        st.integers(0, 1000))


def _tensors(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return safetensors with a header that says something else."""
    def build(seed: bytes, steps: list[tuple[str, int, Any]], length: int | None) -> bytes:
        size = struct.unpack("<Q", seed[:8])[0]
        header = json.dumps(changed(json.loads(seed[8:8 + size]), steps)).encode()
        return struct.pack("<Q", len(header) if length is None else length % 2**64) + header + (
            seed[8 + size:])

    kinds = st.sampled_from(["F8_E4M3", "BF16", "I64", "BOOL", "F64", "F16", "C64", "X"])
    shapes = st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**62, -1]), max_size=4)
    special = st.lists(st.tuples(st.just("replace"), st.integers(0, 10**6), kinds | shapes),
                       min_size=1, max_size=3)
    return st.builds(build, st.sampled_from(seeds), STEPS | special,
                     st.none() | st.none() | st.integers(0, 2**64 - 1) | st.integers(0, 500))
