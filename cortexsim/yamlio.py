"""YAML in, validated objects out; every error says file, line, key and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .errors import CONTROL, CortexSimError, unknown

#: Far above any protocol or graph, which have 3 kB and 150 entries at most, 5 deep; what is more
#: is a mistake or an attack, and could take long to read.
MAX_BYTES, MAX_ENTRIES, MAX_DEPTH = 100_000, 5_000, 12
_DEEP, _MANY = "nested deeper than any file of ours", "has more entries than any file of ours"
_TAG = "tag:yaml.org,2002:"
#: Told at a time.
MAX_PROBLEMS, _LOOKED_AT = 3, 50

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
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # no more, whatever the system says of its size
        if len(data) > MAX_BYTES:
            raise error(f"{path}: larger than {MAX_BYTES:,} bytes, not a file of ours")
        text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None
    except UnicodeDecodeError:
        raise error(f"{path}: not a text file") from None
    return loads(text, error, source=str(path))


def loads(text: str, error: type[CortexSimError], source: str = "<text>") -> Document:
    """Parse YAML text; see :func:`read`."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise error(f"{source}: larger than {MAX_BYTES:,} bytes, not a file of ours")
    reader = YAML(typ="safe", pure=True)
    reader.Composer = _Composer
    try:
        tree = reader.compose(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = f":{mark.line + 1}" if mark else ""
        reason = (problem.problem or problem.context or "not YAML").splitlines()[0]
        raise error(f"{source}{line}: {reason}") from None
    except Exception as problem:  # on broken text the parser raises nearly anything
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise error(f"{source}: not YAML ({reason})") from None
    lines: dict[Key, int] = {}
    try:
        data = None if tree is None else _plain(tree, (), lines, reader.constructor)
    except _InvalidValueError as problem:
        raise error(f"{source}:{problem.line}: {problem}") from None
    return Document(data, source, text, lines)


class _InvalidValueError(Exception):
    """What YAML may hold and our files may not, with its line."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.line = node.start_mark.line + 1


class _Composer(Composer):
    """Stops reading at what is nested too deeply or has too many parts."""

    deep = parts = 0

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # YAML allows them

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Read one node, and those within it."""
        self.parts += 1
        self.deep += 1
        if self.deep > MAX_DEPTH or self.parts > MAX_ENTRIES:
            raise MarkedYAMLError(problem=_DEEP if self.deep > MAX_DEPTH else _MANY,
                                  problem_mark=self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.deep -= 1
        return node


def _plain(node: Node, key: Key, lines: dict[Key, int], constructor: Any) -> Any:
    if len(key) > MAX_DEPTH:  # also of a part that names itself
        raise _InvalidValueError(node, _DEEP)
    if len(lines) > MAX_ENTRIES:  # aliases can name the same part over and over
        raise _InvalidValueError(node, _MANY)
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, ScalarNode):
        return _scalar(node, constructor)
    if node.tag != f"{_TAG}{'map' if isinstance(node, MappingNode) else 'seq'}":
        raise _InvalidValueError(node, f"the tag {node.tag} is not read here: leave it out")
    if isinstance(node, SequenceNode):
        return [_plain(value, (*key, position), lines, constructor)
                for position, value in enumerate(node.value)]
    plain: dict[str, Any] = {}
    for named, value in node.value:
        if not isinstance(named, ScalarNode):
            raise _InvalidValueError(node, "a key must be a word")
        name = str(_scalar(named, constructor))
        if name in plain:
            raise _InvalidValueError(named, f"the key {name!r} is given twice in one place")
        lines[(*key, name)] = named.start_mark.line + 1
        plain[name] = _plain(value, (*key, name), lines, constructor)
    return plain


def _scalar(node: ScalarNode, constructor: Any) -> bool | int | float | str | None:
    kind, value = str(node.tag).removeprefix(_TAG), node.value
    try:
        if kind in ("null", "bool", "int", "float"):
            value = getattr(constructor, f"construct_yaml_{kind}")(node)
        elif kind == "merge":
            raise _InvalidValueError(node, "merging with << is not read: write the keys out")
        elif kind not in ("str", "timestamp"):
            raise _InvalidValueError(node, f"the tag {node.tag} is not read here: leave it out")
    except (ValueError, OverflowError, LookupError):
        raise _InvalidValueError(node, f"{value[:40]!r} is not a number") from None
    if isinstance(value, int) and abs(value) >= 2**63:
        raise _InvalidValueError(node, "a whole number of more than 64 bits")
    if isinstance(value, str) and (found := CONTROL.search(value)):
        raise _InvalidValueError(node, f"text with {found[0]!r}, which controls a terminal: leave "
                                 "it out")
    return value  # type: ignore[no-any-return]


def strange(data: Any, depth: int = 0) -> str | None:
    """Return what plain data, as JSON gives them, hold that no file of ours does.

    That is text with control characters, whole numbers of more than 64 bits, or lists within
    lists without end; None if there is nothing of the kind.
    """
    if isinstance(data, str):
        found = CONTROL.search(data)
        return f"text with the control character {found[0]!r}" if found else None
    if isinstance(data, int):
        return "a whole number of more than 64 bits" if abs(data) >= 2**63 else None
    if isinstance(data, dict | list):
        if depth > 2 * MAX_DEPTH:
            return "parts that are nested deeper than any of ours"
        inner = [*data, *data.values()] if isinstance(data, dict) else data
        return next((said for part in inner if (said := strange(part, depth + 1))), None)
    return None


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
        found = problem.errors()
        messages = list(dict.fromkeys(_say(item, model, document) for item in found[:_LOOKED_AT]))
        more = len(messages) - MAX_PROBLEMS + max(0, len(found) - _LOOKED_AT)
        if more > 0:  # most likely a file of another kind
            messages[MAX_PROBLEMS:] = [f"and {more} more like these"]
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
