"""YAML in, validated objects out; every error says file, line, key and what is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from .errors import CortexSimError, unknown

#: Far above any protocol or graph; a larger file is a mistake or an attack.
MAX_BYTES = 1_000_000
#: Told at a time.
MAX_PROBLEMS = 3

#: Our words for those of pydantic's that speak of Python.
_PLAIN_WORDS = {
    "dict_type": "should be keys and values, as in 'key: value'",
    "model_type": "should be keys and values, as in 'key: value'",
    "list_type": "should be a list, as in [a, b]",
    "tuple_type": "should be a list, as in [a, b]",
}

Key = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """Plain data read from YAML, with the line on which each key stands."""

    data: Any
    source: str
    text: str
    lines: dict[Key, int]

    def where(self, key: Key = ()) -> str:
        """Return ``file:line`` of a key, or of the nearest key above it."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.lines:
                return f"{self.source}:{self.lines[key[:length]]}"
        return self.source


def read(path: str | Path, error: type[CortexSimError]) -> Document:
    """Read a YAML file.

    Raises
    ------
    CortexSimError
        Of the type given, if the file is missing, too large or not YAML.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise error(f"{path}: larger than {MAX_BYTES} bytes, not a file of ours")
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None
    except UnicodeDecodeError:
        raise error(f"{path}: not a text file") from None
    return loads(text, error, source=str(path))


def loads(text: str, error: type[CortexSimError], source: str = "<text>") -> Document:
    """Parse YAML text; see :func:`read`."""
    if len(text) > MAX_BYTES:
        raise error(f"{source}: larger than {MAX_BYTES} bytes, not a file of ours")
    try:
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = f":{mark.line + 1}" if mark else ""
        reason = (problem.problem or problem.context or "not YAML").splitlines()[0]
        if isinstance(problem, DuplicateKeyError):
            named = re.match(r'found duplicate key "(.*?)" with', reason)
            reason = f"the key {named[1] if named else ''!r} is given twice in one place"
        raise error(f"{source}{line}: {reason}") from None
    except (YAMLError, ValueError, RecursionError) as problem:
        raise error(f"{source}: not YAML ({str(problem).splitlines()[0]})") from None
    lines: dict[Key, int] = {}
    data = _plain(tree, (), lines, error, source)
    return Document(data, source, text, lines)


def _plain(
    node: Any, key: Key, lines: dict[Key, int], error: type[CortexSimError], source: str,
) -> Any:
    if len(key) > 12:
        raise error(f"{source}: nested deeper than any file of ours")
    if len(lines) > 20_000:  # aliases can name the same part over and over
        raise error(f"{source}: has more entries than any file of ours")
    if isinstance(node, CommentedMap):
        lines.setdefault(key, node.lc.line + 1)
        plain = {}
        for name, value in node.items():
            if not isinstance(name, str | int | float | bool) and name is not None:
                raise error(f"{source}:{node.lc.line + 1}: a key must be a word")
            name = str(name)
            lines[(*key, name)] = lines[key]
            if name in node.lc.data:
                lines[(*key, name)] = node.lc.key(name)[0] + 1
            plain[name] = _plain(value, (*key, name), lines, error, source)
        return plain
    if isinstance(node, CommentedSeq):
        lines.setdefault(key, node.lc.line + 1)
        plain_list = []
        for position, value in enumerate(node):
            lines[(*key, position)] = node.lc.item(position)[0] + 1
            plain_list.append(_plain(value, (*key, position), lines, error, source))
        return plain_list
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, ScalarBoolean):  # a bool with an anchor, which is an int to Python
        return bool(node)
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return str(node)


def validate(model: type[Model], document: Document, error: type[CortexSimError]) -> Model:
    """Validate a document against a pydantic model.

    Raises
    ------
    CortexSimError
        Of the type given; one line a problem: ``file:line: key: what is wrong``.
    """
    if not isinstance(document.data, dict):
        raise error(f"{document.source}: expected keys and values, as in 'name: ...'")
    try:
        return model.model_validate(document.data)
    except ValidationError as problem:
        messages = [_say(item, model, document) for item in problem.errors()]
        messages = list(dict.fromkeys(messages))
        if len(messages) > MAX_PROBLEMS:  # most likely a file of another kind
            messages[MAX_PROBLEMS:] = [f"and {len(messages) - MAX_PROBLEMS} more like these"]
        raise error("\n".join(messages)) from None


def _say(item: Any, model: type[BaseModel], document: Document) -> str:
    key: Key = tuple(item["loc"])
    # pydantic puts tags of unions and types among the keys; keep what is in the file
    known: Key = ()
    inner = document.data
    for part in key:
        if part in inner if isinstance(inner, dict) else (
                isinstance(inner, list) and isinstance(part, int) and part < len(inner)):
            known, inner = (*known, part), inner[part]
    dotted = ".".join(str(part) for part in known)
    if item["type"] == "extra_forbidden":
        owner = _owner(model, known[:-1])
        fields = [field.alias or name for name, field in owner.model_fields.items()]
        return f"{document.where(known)}: {unknown('key', known[-1], fields)}"
    if item["type"] == "missing":
        return f"{document.where(known)}: the key '{key[-1]}' is missing" + (
            f" in {dotted}" if dotted else ""
        )
    reason = _PLAIN_WORDS.get(item["type"], item["msg"]).removeprefix("Value error, ")
    reason = reason.replace(" after validation", "").replace("Input should", "should")
    given = f", got {item['input']!r}" if not isinstance(item["input"], dict | list) else ""
    return f"{document.where(known)}: {dotted + ': ' if dotted else ''}{reason}{given}"


def _owner(model: type[BaseModel], key: Key) -> type[BaseModel]:
    """Find the model that a key of the document belongs to."""
    for part in key:
        if isinstance(part, int):
            continue
        field = next(
            (f for n, f in model.model_fields.items() if part in (n, f.alias)), None
        )
        found = _model_in(field.annotation) if field else None
        if found is None:
            return model
        model = found
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found:
            return found
    return None
