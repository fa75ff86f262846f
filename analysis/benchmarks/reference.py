"""What one would write first: a network as a plain PyTorch loop, and nothing shared.

The weights and statistics are those of a :class:`Network`. A step applies one transition
after another, with ``F.batch_norm`` and ``F.conv2d``, in torch's default memory layout;
every area is copied to NumPy at every step; conditions and readout times are run one by
one. It covers what the benchmarked networks have (``brc`` and ``brd`` with identity
shortcuts, shared weights), and refuses anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cortexsim.graph import Connection
from cortexsim.models import Network

EPSILON = 1e-5


class Reference:
    """Runs a network without any of the engine.

    Parameters
    ----------
    network
        In evaluation mode; its tensors are used as they are.
    """

    def __init__(self, network: Network) -> None:
        graph = network.graph
        simple = all(c.transition in ("brc", "brd") and c.shortcut in ("none", "identity")
                     and c.stride_layer == 1 for c in graph.connections)
        if not simple or graph.weights != "shared" or graph.sharing or network.pre_net.own_range:
            raise SystemExit(f"the reference does not cover {graph.name}")
        self.network, self.graph = network, graph
        self.moments = {name.removeprefix("at "): table
                        for name, table in network.statistics.named_buffers()}

    def normalize(self, x: Tensor, site: str, index: int) -> Tensor:
        """Normalize by the statistics of a place and time."""
        mean, variance = self.moments[site][:, index]
        return F.batch_norm(x, mean, variance, eps=EPSILON)

    def pre_net(self, images: Tensor) -> Tensor:
        """Return the drive."""
        x, net = images, self.network.pre_net
        for k, weight in enumerate(net.weights, start=1):
            x = x if k == 1 else F.relu(self.normalize(x, f"pre_net:{k}", 0))
            stride = net.stride if k == len(net.weights) else 1
            x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return x

    def transition(self, c: Connection, x: Tensor, s: int) -> Tensor:
        """Apply one connection."""
        y = x
        for layer in range(1, c.layers + 1):
            site, index = (c.source, s - 1) if layer == 1 else (f"{c.name}:{layer}", s)
            y = F.relu(self.normalize(y, site, index))
            weight = self.network.weights[self.graph.weight_key(c, layer, s)]
            stride = self.graph.stride(c) if layer == 1 else (1, 1)
            if layer == 1 and self.graph.grows(c):
                size = self.graph.area(c.target).shape[1:]
                extra = [n - ((m - 1) * k + 1)
                         for n, m, k in zip(size, x.shape[2:], stride, strict=True)]
                y = F.conv_transpose2d(y, weight, stride=stride, padding=1, output_padding=extra)
            else:
                y = F.conv2d(y, weight, stride=stride, padding=weight.shape[-1] // 2)
        return y + c.gain * x if c.shortcut == "identity" else y

    def step(self, state: dict[str, Tensor], s: int, drive: Tensor | None) -> dict[str, Tensor]:
        """Take the state from index s-1 to index s."""
        new = {} if drive is None else {self.graph.first.name: drive}
        for c in self.graph.connections:
            if c.source in state and c.active(s):
                y = self.transition(c, state[c.source], s)
                new[c.target] = new[c.target] + y if c.target in new else y
        return new

    def readout(self, state: dict[str, Tensor], t: int) -> Tensor:
        """Return class scores."""
        net, last = self.network.post_net, self.graph.last.name
        mean, variance = self.moments[last][:, t]
        x = F.batch_norm(state[last], mean, variance, net.scale, net.shift, eps=EPSILON)
        return F.linear(F.relu(x).mean((2, 3)), net.weight, net.bias)

    def run(self, frames: Sequence[Tensor | None], readouts: Sequence[int],
            ) -> tuple[dict[int, NDArray], list[dict[str, NDArray]]]:
        """Run one condition.

        Parameters
        ----------
        frames
            What drives the first area at each index; the same tensor again goes
            through the pre-net once.
        readouts
            When to read the last area.

        Returns
        -------
        tuple
            Scores by readout time, and every area at every index.
        """
        seen, drive = None, None
        state: dict[str, Tensor] = {}
        scores, kept = {}, []
        for t, frame in enumerate(frames):
            if frame is not None and frame is not seen:
                seen, drive = frame, self.pre_net(frame)
            shown = None if frame is None else drive
            if t == 0:
                assert shown is not None, "a condition begins with a picture"
                state = {self.graph.first.name: shown}
            else:
                state = self.step(state, t, shown)
            kept.append({area: x.numpy().copy() for area, x in state.items()})
            if t in readouts and self.graph.last.name in state:
                scores[t] = self.readout(state, t).numpy()
        return scores, kept


def frames_of(movie: object, batch: Sequence[int], condition: object, steps: int,
              seen: dict[object, Tensor]) -> list[Tensor | None]:
    """Render one condition; pictures that were rendered before are taken as they are."""
    found: list[Tensor | None] = []
    for t in range(steps + 1):
        key = movie.frame_key(condition, t)
        if key is not None and key not in seen:
            seen[key] = torch.from_numpy(movie.frame(condition, t, batch))
        found.append(None if key is None else seen[key])
    return found
