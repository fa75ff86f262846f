"""A trained area graph: owns weights and statistics, holds no activity.

State goes in and comes out: ``step(state, s, frame)`` returns the state at index ``s``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CheckpointError, GraphError
from ..graph import AreaGraph, Connection, sharing
from ..processes import ALONE, Processes
from . import engine, narrow, normalization
from .ends import PostNet, PreNet
from .engine import State
from .frames import Brief, Frames, by_index
from .normalization import ScaleShift
from .statistics import EPSILON, Statistics
from .weights import check_size, initial_weights


class Network(nn.Module):
    """The weights of an area graph, and the step that runs it.

    Parameters
    ----------
    graph
        The areas and connections.
    classes
        Number of classes of the post-net.
    steps
        The longest time to be trained, for per-step weights; by default the
        graph's readout time.
    seed
        Of the initial weights.
    """

    def __init__(self, graph: AreaGraph, classes: int = 10, steps: int | None = None,
                 seed: int = 0) -> None:
        super().__init__()
        #: ``model`` and ``weights_sha256`` of the checkpoint it was loaded from.
        self.origin: dict[str, str] = {}
        #: How it was calibrated: ``images`` (how many) and ``steps``, as in a card.
        self.calibration: dict[str, Any] = {}
        #: Those among which each batch is divided, in training, calibration and evaluation.
        self.processes: Processes = ALONE
        self.graph = graph
        self.classes = classes
        self.steps = steps or graph.readout_time
        check_size(graph, classes, self.steps)
        self.pre_net = PreNet(graph, seed)
        self.post_net = PostNet(graph.last.channels, classes, seed,
                                normalize=graph.post_net == "bn-relu-pool-fc")
        self.weights = nn.ParameterDict(initial_weights(graph, self.steps, seed))
        self.affine = ScaleShift(graph, self.steps, self.pre_net.sites())
        self.statistics = Statistics(normalization.sites(graph) | self.pre_net.sites(),
                                     shared=graph.normalization.statistics == "shared")

    # --- what a user calls

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores at the graph's readout time, in its input mode.

        Parameters
        ----------
        images
            Shape (batch, channels, height, width), as :func:`stimuli.to_input` makes them.

        Returns
        -------
        Tensor
            Shape (batch, classes).
        """
        return self.scores(images, [self.graph.readout_time])[self.graph.readout_time]

    def scores(self, images: Frames, times: Iterable[int]) -> dict[int, Tensor]:
        """Return class scores at several readout times from one pass.

        Parameters
        ----------
        images
            Shape (batch, channels, height, width); or a sequence: what drives the
            first area at each index, a batch or None. One and the same tensor at
            successive indices goes through the pre-net once. Or images that go off one
            by one.
        times
            Readout times, in steps.

        Returns
        -------
        dict
            Readout time to scores of shape (batch, classes).

        Raises
        ------
        GraphError
            If the last area is empty at one of the times, or a sequence does not
            begin with images.
        """
        times = sorted(set(times))
        last = self.graph.last.name
        wanted = [{last} if t in times else set() for t in range(times[-1] + 1)]
        needed = self.graph.needed(wanted)
        state: State = {}
        scores, passed, drive = {}, None, None
        for t, frame in enumerate(by_index(images, self.graph.input, times[-1])):
            if frame is not None and frame is not passed:
                passed, drive = frame, self.drive(frame)
            shown = None if frame is None else drive
            if isinstance(images, Brief) and shown is not None:
                shown = shown * images.on(t).to(shown.dtype)
            state = (self.step(state, t, drive=shown, areas=needed[t]) if t
                     else self.initial_state(drive=shown))
            if t in times:
                scores[t] = self.readout(state, t)
        return scores

    def initial_state(self, frame: Tensor | None = None, *, drive: Tensor | None = None) -> State:
        """Return the state at index 0: the first area holds the frame's drive, if there is one.

        Parameters
        ----------
        frame
            Images, shape (batch, channels, height, width).
        drive
            In place of a frame, what the pre-net made of it.
        """
        if frame is not None:
            drive = self.drive(frame)
        if drive is None:
            return {}
        first = self.graph.first.name
        return {first: engine.activate(self.graph, first, drive)}

    def step(self, state: State, s: int, frame: Tensor | None = None, *,
             drive: Tensor | None = None, areas: Collection[str] | None = None) -> State:
        """Take the state from index s-1 to index s.

        Parameters
        ----------
        state
            Area to activity of shape (batch, channels, height, width); empty
            areas are absent.
        s
            The step, 1 for the first.
        frame
            Images shown at index s, shape (batch, channels, height, width).
        drive
            In place of a frame, what the pre-net made of it.
        areas
            The areas wanted at index s; all by default.

        Returns
        -------
        dict
            The new state; the old one is not changed.
        """
        if frame is not None:
            drive = self.drive(frame)
        return engine.step(self.graph, self.arrivals, state, s, drive, areas)

    def arrivals(self, state: State, s: int,
                 firing: Sequence[Connection]) -> dict[str, list[Tensor]]:
        """Apply the connections that fire at step s.

        Parameters
        ----------
        state
            Area to activity at index s-1.
        s
            The step, 1 for the first.
        firing
            Active connections from areas of the state, as :func:`engine.plan` orders them.

        Returns
        -------
        dict
            Target to what is to be summed there, each of shape (batch, channels, height, width).
        """
        return engine.transitions(self, state, s, firing)

    def drive(self, frame: Tensor, layers: int | None = None) -> Tensor:
        """Return what the pre-net makes of images.

        Parameters
        ----------
        frame
            Shape (batch, channels, height, width).
        layers
            Stop after so many convolutions (calibration looks inside).

        Returns
        -------
        Tensor
            Shape (batch, *shape of the first area).

        Raises
        ------
        GraphError
            If the images do not fit the graph.
        """
        self.check_images(frame)
        result: Tensor = self.pre_net(frame, self.normalize, layers)
        return result

    def readout(self, state: State, t: int) -> Tensor:
        """Return class scores from the state at index t, shape (batch, classes).

        Raises
        ------
        GraphError
            If the last area is empty.
        """
        self.check_readable(state, t)
        x, net = state[self.graph.last.name], self.post_net
        if not net.normalize:
            pass
        elif self.training:
            x = narrow.batch_norm(x, net.scale, net.shift, EPSILON, self.processes)
        else:
            x = _affine(x, *self.readout_scale_shift(t))
        pooled = (F.relu(x) if net.normalize else x).mean(dim=(2, 3))
        if self.training:
            return F.linear(pooled, net.weight, net.bias)
        # matrix products sum in another order for other batches; in float64 the
        # difference is rounded away, and a trial scores the same in any batch
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(pooled.double(), net.weight.double(), net.bias.double()).to(pooled)

    @property
    def beyond(self) -> str:
        """``"error"`` or ``"last"``: what happens at an index without statistics."""
        return self.statistics.beyond

    @beyond.setter
    def beyond(self, rule: str) -> None:
        if rule not in ("error", "last"):
            raise GraphError(f"beyond must be 'error' or 'last', got {rule!r}")
        self.statistics.beyond = rule

    @property
    def statistics_limit(self) -> float:
        """The last index to which there are statistics for the readout.

        -1 if there is none, infinite if they are shared or none are used.
        """
        last = self.graph.last.name
        if self.post_net.normalize:
            return self.statistics.limit(last)
        # those of what leads into the last area: step s uses them at the index s or s - 1
        reach = [min(limit + 1 - index if (limit := self.statistics.limit(site)) >= 0 else -1
                     for site, index in uses)
                 for c in self.graph.connections if c.target == last
                 and (uses := normalization.uses(c, 1))]
        return max(reach, default=math.inf)

    @property
    def weights_limit(self) -> float:
        """The last step that weights, scales and shifts allow: infinite if none belong to a step.

        Scales and shifts allow any with ``beyond`` ``"last"``.
        """
        graph = self.graph
        ends = any(graph.weight_sharing(c) == "per-step" and not sharing.covers(graph, c)
                   for c in graph.connections) or (
            graph.normalization.scale_shift == "time-specific" and self.beyond == "error")
        return self.steps if ends else math.inf

    # --- what the engine, runners and calibration call

    def check_images(self, frame: Tensor) -> None:
        """Raise a GraphError if images do not fit the graph."""
        if not self.graph.takes(frame.shape[1:]):
            raise GraphError(f"the network takes images of shape {list(self.graph.image)} "
                             f"(channels, height, width), got {list(frame.shape[1:])}")

    def check_readable(self, state: State, t: int) -> None:
        """Raise a GraphError if the last area is empty at index t."""
        last = self.graph.last.name
        if last not in state:
            times = ", ".join(map(str, self.graph.readout_times(t + 10)))
            raise GraphError(
                f"{last} is empty at t = {t}; with {self.graph.input} input it can be read at "
                f"{times}"
            )

    def readout_scale_shift(self, t: int) -> tuple[Tensor, Tensor]:
        """Return the post-net's normalization at index t, its learned scale and shift included."""
        scale, shift = self.statistics.scale_shift(self.graph.last.name, t)
        return self.post_net.scale * scale, self.post_net.scale * shift + self.post_net.shift

    def weight(self, connection: Connection, layer: int, s: int) -> Tensor:
        """Return the weight of a layer at a step (layer 0 is the linear shortcut).

        Raises
        ------
        CheckpointError
            If weights are per step and this step was not trained.
        """
        key = self.graph.weight_key(connection, layer, s)
        if key not in self.weights:
            raise CheckpointError(
                f"{connection.name} has its own weights at each step, trained to step "
                f"{self.steps}: step {s} has none"
            )
        weight: Tensor = self.weights[key]
        return weight

    def scale_shift(self, sites: list[str], index: int) -> tuple[Tensor, Tensor]:
        """Return the normalization of channels that belong to one site or several, joined.

        With the learned scale and shift, if the graph has them.
        """
        pairs = [self._scale_shift(site, index) for site in sites]
        return _join([scale for scale, _ in pairs]), _join([shift for _, shift in pairs])

    def _scale_shift(self, site: str, index: int) -> tuple[Tensor, Tensor]:
        scale, shift = self.statistics.scale_shift(site, index)
        learned = self.affine.at(site, index, self.beyond)
        if learned is None:
            return scale, shift
        return learned[0] * scale, learned[0] * shift + learned[1]

    def normalize(self, x: Tensor, sites: list[str], index: int) -> Tensor:
        """Normalize by the batch in training, by the statistics of the sites otherwise.

        Then scale and shift, if the graph has that.
        """
        if not self.training:
            return _affine(x, *self.scale_shift(sites, index))
        pairs = [pair for site in sites
                 if (pair := self.affine.at(site, index, self.beyond)) is not None]
        scale, shift = ((_join([scale for scale, _ in pairs]), _join([shift for _, shift in pairs]))
                        if pairs else (None, None))
        return narrow.batch_norm(x, scale, shift, EPSILON, self.processes)


def _join(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    # addcmul in the activity's own precision: one pass over memory
    return torch.addcmul(shift.to(x.dtype)[:, None, None], x, scale.to(x.dtype)[:, None, None])
