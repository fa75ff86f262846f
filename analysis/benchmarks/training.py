"""How much faster training is than a straightforward implementation, as ratios.

    python analysis/benchmarks/training.py [--rounds 7] [--batch 64] [--device cuda --compile]

The straightforward side is what one would write first: one module per transition, a
loop over the steps and over all transitions whose source is populated, the default
memory layout. Both sides train the same weights on the same batch with the same
losses, precision and optimizer, in turn, in one process. First their scores and
gradients are shown to be equal; without that, no ratio is printed. That is done in
float64: in float32 the gradients of any two correct implementations differ by percents
wherever an activity rounds to the other side of a ReLU.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cortexsim import devices, presets
from cortexsim.graph import AreaGraph, Connection
from cortexsim.models import Network
from cortexsim.training import recipes

#: Largest difference of a score or gradient in float64, relative to the largest of its tensor.
TOLERANCE = 1e-9
#: Images on which that is shown.
CHECKED = 8


class Transition(nn.Module):
    """BN-ReLU-(De)Conv, once per layer, and the identity shortcut."""

    def __init__(self, graph: AreaGraph, connection: Connection) -> None:
        super().__init__()
        self.source, self.target = connection.source, connection.target
        self.gain = connection.gain if connection.shortcut == "identity" else 0.0
        layers: list[nn.Module] = []
        for layer in range(1, connection.layers + 1):
            first, second = graph.kernel_shape(connection, layer)[:2]
            stride = graph.stride(connection) if layer == 1 else (1, 1)
            if layer == 1 and graph.grows(connection) and stride != (1, 1):
                sizes = zip(graph.area(self.target).shape[1:], graph.area(self.source).shape[1:],
                            stride, strict=True)
                extra = [n - ((m - 1) * k + 1) for n, m, k in sizes]
                convolution: nn.Module = nn.ConvTranspose2d(
                    first, second, 3, stride, 1, (extra[0], extra[1]), bias=False)
            else:
                first, second = second, first
                convolution = nn.Conv2d(first, second, 3, stride, 1, bias=False)
            layers += [normalization(first), nn.ReLU(), convolution]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Take the source's activity to what is added to the target's."""
        y: Tensor = self.layers(x)
        return y + self.gain * x if self.gain else y


class Straightforward(nn.Module):
    """A network of shared weights, one module per transition.

    Parameters
    ----------
    network
        Whose graph it has, and whose weights it copies.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        graph = network.graph
        self.first, self.last = graph.first.name, graph.last.name
        self.sustained = graph.input == "sustained"
        layers: list[nn.Module] = []
        for k, weight in enumerate(network.pre_net.weights, start=1):
            out, channels = weight.shape[:2]
            stride = graph.pre_net_stride if k == len(network.pre_net.weights) else (1, 1)
            layers += [normalization(channels), nn.ReLU()] if k > 1 else []
            layers.append(nn.Conv2d(channels, out, 3, stride, 1, bias=False))
        self.pre_net = nn.Sequential(*layers)
        self.transitions = nn.ModuleList(Transition(graph, c) for c in graph.connections)
        self.post_net = nn.Sequential(
            nn.BatchNorm2d(graph.last.channels, track_running_stats=False), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(graph.last.channels, network.classes))
        with torch.no_grad():
            for mine, theirs in zip(self.parameters(), parameters(network), strict=True):
                mine.copy_(theirs)

    def scores(self, images: Tensor, times: list[int]) -> dict[int, Tensor]:
        """Return class scores at several readout times."""
        drive = self.pre_net(images)
        state, scores = {self.first: drive}, {}
        for t in range(max(times) + 1):
            if t > 0:
                new = {self.first: drive} if self.sustained else {}
                for transition in self.transitions:
                    if transition.source in state:
                        y = transition(state[transition.source])
                        target = transition.target
                        new[target] = new[target] + y if target in new else y
                state = new
            if t in times:
                scores[t] = self.post_net(state[self.last])
        return scores


def normalization(channels: int) -> nn.Module:
    """Normalize by the batch, as all but the post-net do: without scale and shift."""
    return nn.BatchNorm2d(channels, affine=False, track_running_stats=False)


def parameters(network: Network) -> list[nn.Parameter]:
    """Return a network's parameters in the order of the straightforward one's."""
    graph, end = network.graph, network.post_net
    keys = [graph.weight_key(c, layer, 1)
            for c in graph.connections for layer in range(1, c.layers + 1)]
    return [*network.pre_net.weights, *(network.weights[key] for key in keys),
            end.scale, end.shift, end.weight, end.bias]


class Side:
    """One network with its optimizer, ready to take training steps."""

    def __init__(self, scores: Callable[[Tensor, list[int]], dict[int, Tensor]],
                 weights: list[nn.Parameter], images: Tensor, labels: Tensor, times: list[int],
                 recipe: recipes.Recipe) -> None:
        self.scores, self.weights, self.images, self.labels = scores, weights, images, labels
        self.times, self.recipe = times, recipe
        self.optimizer = torch.optim.SGD(weights, lr=1e-4, momentum=recipe.momentum,
                                         nesterov=recipe.nesterov,
                                         weight_decay=recipe.weight_decay)

    def backward(self, precision: str) -> list[Tensor]:
        """Run forward and backward; return the scores."""
        with devices.autocast(self.images.device, precision):
            scores = list(self.scores(self.images, self.times).values())
        losses = [F.cross_entropy(score.float(), self.labels,
                                  label_smoothing=self.recipe.label_smoothing)
                  for score in scores]
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(losses).mean())
        return scores

    def seconds(self, precision: str, steps: int) -> float:
        """Time some training steps."""
        begun = time.perf_counter()
        for _ in range(steps):
            self.backward(precision)
            self.optimizer.step()
        if self.images.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - begun


def difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Return the largest difference, relative to the largest value of its tensor."""
    return max(float((a - b).detach().abs().max() / b.detach().abs().max().clamp_min(1e-30))
               for a, b in zip(ours, theirs, strict=True))


def sides(network: Network, images: Tensor, labels: Tensor, recipe: recipes.Recipe,
          compiled: bool) -> tuple[Side, Side]:
    """Return the straightforward side and ours, of one network's weights."""
    graph = network.graph
    times = [t for t in graph.readout_times(graph.readout_time)
             if t > graph.readout_time - recipe.readouts]
    plain = Straightforward(network).to(images).train()
    own = copy.deepcopy(network).to(images).to(memory_format=torch.channels_last).train()
    slow, fast = plain.scores, own.scores
    if compiled:
        slow, fast = torch.compile(slow), torch.compile(fast)
    rows = images.contiguous(memory_format=torch.channels_last)
    return (Side(slow, list(plain.parameters()), images, labels, times, recipe),
            Side(fast, parameters(own), rows, labels, times, recipe))


def check(network: Network, images: Tensor, labels: Tensor,
          recipe: recipes.Recipe) -> tuple[float, float]:
    """Return the largest relative difference of scores and of gradients, in float64."""
    plain, own = sides(network, images.double(), labels, recipe, compiled=False)
    scores = difference(own.backward("float32"), plain.backward("float32"))
    pairs = [(a.grad, b.grad) for a, b in zip(own.weights, plain.weights, strict=True)
             if a.grad is not None and b.grad is not None]
    missing = [a for a, b in zip(own.weights, plain.weights, strict=True)
               if (a.grad is None) != (b.grad is None)]
    gradients = difference([a for a, _ in pairs], [b for _, b in pairs])
    return scores, gradients if not missing else float("inf")


def compare(graph: AreaGraph, recipe: recipes.Recipe, options: argparse.Namespace) -> None:
    """Check that both sides are equal, then print the ratio of their times."""
    device = devices.device(options.device)
    torch.manual_seed(0)
    images = torch.randn(options.batch, *graph.image, device=device)
    labels = torch.randint(10, (options.batch,), device=device)
    network = Network(graph).to(device)
    name = f"{graph.name}, T = {graph.readout_time}"
    scores, gradients = check(network, images[:CHECKED], labels[:CHECKED], recipe)
    if not max(scores, gradients) < TOLERANCE:
        raise SystemExit(f"{name}: the two sides differ (scores by {scores:.1e}, gradients by "
                         f"{gradients:.1e} relative): no ratio")
    plain, own = sides(network, images, labels, recipe, options.compile)
    # not counted: memory is taken, and perhaps code compiled, for the first time
    lower = difference(own.backward(options.precision), plain.backward(options.precision))
    rounds = [(plain.seconds(options.precision, options.steps),
               own.seconds(options.precision, options.steps)) for _ in range(options.rounds + 1)]
    ratios = sorted(slow / fast for slow, fast in rounds[1:])
    own_ms = 1e3 * statistics.median(fast for _, fast in rounds[1:]) / options.steps
    print(f"{name:32s} {len(own.times):2d} {statistics.median(ratios):7.2f} "
          f"[{ratios[0]:.2f}, {ratios[-1]:.2f}] {own_ms:9.1f} {scores:9.0e} {gradients:8.0e} "
          f"{lower:8.0e}", flush=True)


def main() -> None:
    """Compare training of four networks."""
    parser = argparse.ArgumentParser(description="Time training against a plain implementation.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="training steps in each round")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=devices.PRECISIONS, default="bf16")
    parser.add_argument("--device", default=None)
    parser.add_argument("--compile", action="store_true", help="compile both sides")
    options = parser.parse_args()
    device = devices.device(options.device)
    ventral = presets.get("ventral-adjacent-leaky")
    cases = [
        (dataclasses.replace(ventral, readout_time=6), "fast"),
        (ventral, "fast"),
    ]
    cases += [(presets.get(name), "paper") for name in ("fig9-4state-full", "fig9-3state-full")]
    print(f"{devices.hardware(device)}, torch {torch.__version__}, batch {options.batch}, "
          f"{options.precision}")
    print("n: readout times in the loss; ratio: time of the straightforward side / time of ours, "
          "median [range];\nms: ours, of one training step; then the largest relative difference "
          "of scores and gradients in\nfloat64, and, only rounding, of scores in the precision "
          "that is timed\n")
    print(f"{'':32s}  n   ratio              {'ms':>9s} {'scores':>9s} {'gradients':>8s} "
          f"{options.precision:>7s}")
    for graph, recipe in cases:
        with devices.exact(device):
            compare(graph, recipes.get(recipe), options)


if __name__ == "__main__":
    main()
