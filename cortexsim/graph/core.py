"""The area graph itself; what follows from it is worked out in the modules beside this one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import activity, geometry, sharing, validate, validate_parts
from .matrix import as_html, as_text, describe
from .normalization import Normalization
from .parts import Area, Connection, PreNet
from .sharing import SharingSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AreaGraph:
    """Areas in order, connections between them, and how images come in.

    Parameters
    ----------
    areas
        The first takes the image, the last is read out.
    connections
        Their order never matters.
    image
        Channels, height and width of an image; channels only where areas have no
        fixed size, so that images of any size will do.
    input
        ``"sustained"``: drive at every index at which an image is shown;
        ``"onset"``: only at the first index of each presentation.
    weights
        ``"shared"`` over time, or ``"per-step"``.
    readout_time
        The step at which the last area is read.
    pre_net, normalization
        What turns an image into drive, and how activity is normalized on its way.
    post_net
        What turns the last area into class scores: ``"bn-relu-pool-fc"``, the
        paper's, or ``"pool-fc"``.
    sharing
        Sets of transitions at certain steps that share their weights.
    name
        For people; plays no part in :attr:`sha256`.

    Raises
    ------
    GraphError
        One sentence that says what does not fit.
    """

    areas: tuple[Area, ...]
    connections: tuple[Connection, ...]
    image: tuple[int, ...] = (3, 32, 32)
    input: str = "sustained"
    weights: str = "shared"
    readout_time: int = 10
    pre_net: PreNet = field(default_factory=PreNet)
    post_net: str = "bn-relu-pool-fc"
    normalization: Normalization = field(default_factory=Normalization)
    sharing: tuple[SharingSet, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        """Make sequences tuples, so that the graph can be hashed, and validate."""
        for part in ("areas", "connections", "image", "sharing"):
            object.__setattr__(self, part, tuple(getattr(self, part)))
        validate.check_graph(self)

    # -- areas and connections ------------------------------------------------

    @cached_property
    def _order(self) -> dict[str, int]:
        return {area.name: position for position, area in enumerate(self.areas)}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the areas, in order."""
        return tuple(self._order)

    @property
    def first(self) -> Area:
        """The area that takes the drive."""
        return self.areas[0]

    @property
    def last(self) -> Area:
        """The area that is read out."""
        return self.areas[-1]

    def area(self, name: str) -> Area:
        """Return an area by its name; GraphError if there is none."""
        validate_parts.check_known(name, self._order)
        return self.areas[self._order[name]]

    def kinds(self, connection: Connection) -> frozenset[str]:
        """Return what a connection is, from the order of the areas.

        One of ``feedforward``, ``feedback`` and ``lateral``, and ``bypass`` too if
        the areas are not neighbours.
        """
        distance = self._order[connection.target] - self._order[connection.source]
        if distance == 0:
            return frozenset({"lateral"})
        kinds = {"feedforward" if distance > 0 else "feedback"}
        return frozenset(kinds | {"bypass"} if abs(distance) > 1 else kinds)

    def for_image(self, height: int, width: int) -> AreaGraph:
        """Return the graph with the sizes that its areas have for an image of this size.

        Raises
        ------
        GraphError
            If the graph has other sizes of its own, or nothing leads to an area.
        """
        return geometry.for_image(self, height, width)

    def takes(self, shape: Sequence[int]) -> bool:
        """Return whether images of this shape (channels, height, width) fit."""
        return tuple(shape[: len(self.image)]) == self.image

    def stride(self, connection: Connection) -> tuple[int, int]:
        """Return the stride in height and width that a connection has."""
        return geometry.stride(self, connection)

    def grows(self, connection: Connection) -> bool:
        """Return whether the target is larger than the source in any dimension."""
        return geometry.grows(self, connection)

    @property
    def pre_net_stride(self) -> tuple[int, int]:
        """Stride in height and width of the pre-net's last convolution (before its pool)."""
        return geometry.pre_net_stride(self)

    def channels(self, connection: Connection) -> tuple[int, ...]:
        """Return the channels before, between and after the layers of a connection."""
        return geometry.channels(self, connection)

    def kernel_shape(self, connection: Connection, layer: int) -> tuple[int, ...]:
        """Return the shape of a layer's weight (1, 2, ...; 0 is the linear shortcut).

        (out, in, rows, columns), or (in, out, rows, columns) for a deconvolution:
        layer 1, or 0, where the size grows.
        """
        return geometry.kernel_shape(self, connection, layer)

    def weight_sharing(self, connection: Connection) -> str:
        """Return ``"shared"`` or ``"per-step"``: the connection's own, else the graph's."""
        return connection.weights or self.weights

    def sharing_set(self, connection: Connection, step: int) -> str | None:
        """Return the name of the sharing set a connection is in at a step, None for none."""
        return sharing.name_at(self, connection, step) if self.sharing else None

    def weight_key(self, connection: Connection, layer: int, step: int) -> str:
        """Name the weight that a layer (1, 2, ...; 0 the linear shortcut) uses at a step.

        Uses of one weight have one name: ``V1>V2:1`` shared, ``V1>V2:1@3`` per step,
        the tie's name if tied, ``early:1`` in a sharing set. Two connections between the
        same areas, active at different steps, have weights of their own and their
        windows in the name.
        """
        return geometry.weight_key(self, connection, layer, step)

    # -- activity in time -----------------------------------------------------

    def populated(self, steps: int, drive: Sequence[bool]) -> list[frozenset[str]]:
        """Return the areas that something has reached, at index 0 to `steps`.

        `drive` says whether a frame drives the first area, by index; past its end
        nothing does. An area keeps nothing by itself: it is empty at an index at
        which neither drive nor a connection that fires leads into it.
        """
        return activity.populated(self, steps, drive)

    def arrival(self, name: str) -> int | None:
        """Return the first index at which drive at index 0 alone populates an area.

        None if it never does.
        """
        return activity.arrival(self, name)

    def needed(self, wanted: Sequence[Collection[str]]) -> list[frozenset[str]]:
        """Return, by index, the areas whose state can still reach something wanted.

        `wanted` gives, by index 0 to T, the areas that are read out or recorded; the
        result is as long and includes it.
        """
        return activity.needed(self, wanted)

    def firing(
        self, step: int, sources: Collection[str], targets: Collection[str],
    ) -> tuple[Connection, ...]:
        """Return the connections that must be computed at a step (1, 2, ...).

        They are active, lead from `sources`, populated at index ``step - 1``, and to
        `targets`, needed at index `step`.
        """
        return activity.firing(self, step, sources, targets)

    def readout_times(self, limit: int) -> list[int]:
        """Return the indices up to `limit` at which the last area is populated.

        In the graph's own input mode: drive at every index if sustained, at index
        0 if onset.
        """
        return activity.readout_times(self, limit)

    # -- as data --------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as plain JSON, in the form of the YAML file."""
        from . import text

        return text.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "area graph") -> AreaGraph:
        """Make a graph from :meth:`to_dict`; `source` begins the error messages."""
        from . import text

        return text.from_dict(data, source)

    def to_yaml(self) -> str:
        """Return the graph as YAML text, which :meth:`from_yaml` reads."""
        from . import text

        return text.to_yaml(self)

    @classmethod
    def from_yaml(cls, path: str | Path) -> AreaGraph:
        """Read a graph from a YAML file; GraphError with file and line if it does not fit."""
        from . import text

        return text.from_yaml(path)

    @classmethod
    def from_text(cls, yaml: str, source: str = "<text>") -> AreaGraph:
        """Read a graph from YAML text; `source` begins the error messages."""
        from . import text

        return text.from_text(yaml, source)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything but the name and the order of connections and sharing sets."""
        data = self.to_dict()
        data.pop("name", None)
        # a mapping keeps no order once keys are sorted, but the areas' order has a meaning
        data["areas"] = list(data["areas"].items())
        data["connections"] = sorted(json.dumps(c, sort_keys=True) for c in data["connections"])
        for uses in data.get("sharing", {}).values():
            uses.sort(key=json.dumps)
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    @classmethod
    def chain(
        cls,
        names: Sequence[str],
        connectivity: str = "adjacent",
        *,
        channels: Sequence[int] | None = None,
        sizes: Sequence[int | tuple[int, int]] | None = None,
        self_transitions: bool = True,
        feedback: bool = True,
        bypass: bool | None = None,
        shortcut: str = "identity",
        gain: float = 1.0,
        **others: Any,
    ) -> AreaGraph:
        """Connect areas in order.

        Parameters
        ----------
        names
            Of the areas, first to last.
        connectivity
            ``"adjacent"`` connects neighbours, ``"full"`` all areas.
        channels, sizes
            One for each area; a size is one number, or height and width. Four areas
            have 24, 32, 48, 64 channels and a half, a quarter, a quarter, an eighth of the
            image's size; others double from 32 channels and halve the size, to an eighth.
        self_transitions, feedback
            Whether to connect areas to themselves, and later to earlier ones.
        bypass
            Whether to connect areas that are not neighbours; None follows `connectivity`.
        shortcut, gain
            Of the self-transitions.
        **others
            Further fields of :class:`AreaGraph`, such as ``image`` and ``input``.

        Raises
        ------
        GraphError
            If numbers of names, channels and sizes differ, or the graph breaks a rule.
        """
        from . import build

        return build.chain(
            names, connectivity, channels=channels, sizes=sizes, feedback=feedback,
            self_transitions=self_transitions, bypass=bypass, shortcut=shortcut, gain=gain,
            **others,
        )

    # -- for people -----------------------------------------------------------

    def matrix(self) -> str:
        """Return the transition matrix as text: rows are sources, columns targets."""
        return as_text(self)

    def draw(self, path: str | Path | None = None, command: str = "") -> Figure:
        """Draw the graph and its matrix; see :func:`cortexsim.graph.draw.draw`."""
        from . import draw

        return draw.draw(self, path, command)

    def __str__(self) -> str:
        """Describe the graph in a few lines, then its transition matrix."""
        return f"{describe(self)}\n\n{as_text(self)}"

    def _repr_html_(self) -> str:
        return as_html(self)
