"""Area graphs as plain data and as YAML; errors name the file and the line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from .. import yamlio
from ..errors import GraphError
from .core import AreaGraph
from .form import AreaText, ConnectionText, GraphText, UseText
from .normalization import Normalization
from .parts import Area, Connection, PreNet
from .sharing import SharingSet, Use
from .validate_parts import MAX_AREAS, InvalidPartError, check_count

Made = TypeVar("Made")

#: Keys that make the connections by rule, in place of a list of them.
_RULES = ("connectivity", "self_transitions", "feedback", "bypass", "gain")


def from_yaml(path: str | Path) -> AreaGraph:
    """Read a graph from a file; see :meth:`AreaGraph.from_yaml`."""
    return _build(yamlio.read(path, GraphError))


def from_text(yaml: str, source: str = "<text>") -> AreaGraph:
    """Read a graph from text; see :meth:`AreaGraph.from_text`."""
    return _build(yamlio.loads(yaml, GraphError, source))


def from_dict(data: Mapping[str, Any], source: str = "area graph") -> AreaGraph:
    """Make a graph from plain data; see :meth:`AreaGraph.from_dict`."""
    lines: dict[yamlio.Key, int] = {}
    return _build(yamlio.Document(dict(data), source, "", lines))


def _build(document: yamlio.Document) -> AreaGraph:
    read = yamlio.validate(GraphText, document, GraphError)
    _at(document, (), partial(check_count, "areas", len(read.areas), MAX_AREAS))
    areas = [
        _at(document, ("areas", name), partial(_area, name, area))
        for name, area in read.areas.items()
    ]
    pre_net = _at(document, ("pre_net",), partial(PreNet, **read.pre_net.model_dump()))
    normalization = _at(document, ("normalization",),
                        partial(Normalization, **read.normalization.model_dump()))
    if read.connections is None:
        connections = _by_rule(read, document)
    else:
        _refuse_rules(read, document)
        connections = [
            _at(document, ("connections", i), partial(_connection, entry))
            for i, entry in enumerate(read.connections)
        ]
    sharing = [_sharing_set(document, name, uses) for name, uses in read.sharing.items()]
    return _at(document, (), lambda: AreaGraph(
        tuple(areas), tuple(connections), image=tuple(read.image), input=read.input,
        weights=read.weights, readout_time=read.readout_time, pre_net=pre_net,
        post_net=read.post_net, normalization=normalization,
        sharing=tuple(sharing), name=read.name,
    ))


def _at(document: yamlio.Document, key: yamlio.Key, make: Callable[[], Made]) -> Made:
    """Make a part, and put the place of its text before any error."""
    try:
        return make()
    except InvalidPartError as problem:
        raise GraphError(f"{document.where((*key, *problem.key))}: {problem}") from None
    except GraphError as problem:
        raise GraphError(f"{document.where(key)}: {problem}") from None


def _area(name: str, read: AreaText) -> Area:
    height, width = read.shape[1:] or (None, None)
    return Area(name, read.shape[0], height, width, read.activation)


def _connection(read: ConnectionText) -> Connection:
    data = read.model_dump()
    return Connection(**{**data, "steps": tuple(data["steps"])})


def _sharing_set(document: yamlio.Document, name: str, uses: list[UseText]) -> SharingSet:
    made = tuple(_at(document, ("sharing", name, i), partial(Use, **use.model_dump()))
                 for i, use in enumerate(uses))
    return _at(document, ("sharing", name), partial(SharingSet, name, made))


def _by_rule(read: GraphText, document: yamlio.Document) -> list[Connection]:
    rules = {key: getattr(read, key) for key in _RULES if getattr(read, key) is not None}
    if not rules and len(read.areas) > 1:
        raise GraphError(
            f"{document.where()}: give either 'connections' or 'connectivity: adjacent' or 'full'"
        )
    if not rules:
        return []
    shapes = [area.shape for area in read.areas.values()]
    if any(len(shape) < 3 for shape in [read.image, *shapes]):
        raise GraphError(f"{document.where(('connectivity',))}: connections by rule need areas "
                         "and an image of fixed size: channels, height and width")
    made = _at(document, ("connectivity",), lambda: AreaGraph.chain(
        list(read.areas), channels=[shape[0] for shape in shapes],
        sizes=[(shape[1], shape[2]) for shape in shapes], image=tuple(read.image),
        input=read.input, readout_time=read.readout_time,
        pre_net=PreNet(**read.pre_net.model_dump()), **rules,
    ))
    return list(made.connections)


def _refuse_rules(read: GraphText, document: yamlio.Document) -> None:
    for key in _RULES:
        if getattr(read, key) is not None:
            raise GraphError(
                f"{document.where((key,))}: '{key}' makes connections by rule and cannot stand "
                "beside a list of 'connections'"
            )


def to_dict(graph: AreaGraph) -> dict[str, Any]:
    """Return a graph as plain JSON; see :meth:`AreaGraph.to_dict`."""
    pre_net = {"layers": graph.pre_net.layers} | _unusual(graph.pre_net, PreNet())
    normalization = graph.normalization.to_dict()  # older graphs keep their hash
    return {
        **({"name": graph.name} if graph.name else {}),
        "areas": {area.name: list(area.shape) if area.activation == "none" else
                  {"shape": list(area.shape), "activation": area.activation}
                  for area in graph.areas},
        "connections": [_connection_dict(c) for c in graph.connections],
        "image": list(graph.image),
        "input": graph.input,
        "weights": graph.weights,
        "readout_time": graph.readout_time,
        "pre_net": pre_net,
        **({"post_net": graph.post_net} if graph.post_net != AreaGraph.post_net else {}),
        **({"normalization": normalization} if normalization else {}),
        **({"sharing": {shared.name: [use.to_dict() for use in shared.uses]
                        for shared in graph.sharing}} if graph.sharing else {}),
    }


def _unusual(part: PreNet | Connection, usual: PreNet | Connection,
             names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the fields that are not as usual, tuples as lists."""
    found = {}
    for name in names or [f.name for f in fields(part)]:
        value = getattr(part, name)
        if value != getattr(usual, name):
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _connection_dict(connection: Connection) -> dict[str, Any]:
    data: dict[str, Any] = {
        "from": connection.source, "to": connection.target,
        "transition": connection.transition,
    }
    if connection.transition in ("brc", "brd", "cbr"):
        data["layers"] = connection.layers
    data["shortcut"] = connection.shortcut
    if connection.shortcut == "identity":
        data["gain"] = connection.gain
    if connection.steps != (1, None):
        first, last = connection.steps
        # JSON has no infinity
        data["steps"] = [first, "inf" if last is None else last]
    if connection.weights:
        data["weights"] = connection.weights
    usual = Connection(connection.source, connection.target)
    return data | _unusual(connection, usual,
                           ("tie", "kernel", "stride", "stride_layer", "middle"))


def to_yaml(graph: AreaGraph) -> str:
    """Return a graph as YAML; see :meth:`AreaGraph.to_yaml`."""
    data = json.loads(json.dumps(to_dict(graph)))
    tree = CommentedMap(data)
    tree["areas"] = CommentedMap({name: _flow(area) for name, area in data["areas"].items()})
    tree["connections"] = CommentedSeq(_flow(connection) for connection in data["connections"])
    tree["image"], tree["pre_net"] = _flow(data["image"]), _flow(data["pre_net"])
    if "normalization" in data:
        tree["normalization"] = _flow(data["normalization"])
    if "sharing" in data:
        tree["sharing"] = CommentedMap({name: _flow(uses)
                                        for name, uses in data["sharing"].items()})
    writer = YAML(typ="rt", pure=True)
    writer.width = 200
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    writer.dump(tree, stream)
    return stream.getvalue()


def _flow(node: Any) -> Any:
    """Write a list or mapping on one line, in brackets."""
    if isinstance(node, dict):
        mapping = CommentedMap({key: _flow(value) for key, value in node.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(node, list):
        sequence = CommentedSeq(_flow(value) for value in node)
        sequence.fa.set_flow_style()
        return sequence
    return node
