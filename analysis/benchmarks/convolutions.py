"""How near convolutions come to the speed of a large matrix product on the same cores.

    python analysis/benchmarks/convolutions.py [--network fig9-3state-full] [--out FILE]

Every convolution of a step is timed where it stands, in a running network. Its operations
are counted from its shapes: 2 for each multiply-add, the padding and the gaps of strided
deconvolutions left out. In each round a product of two 2048 x 2048 matrices is timed, too,
and the share is that of its rate in the same round.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence

import common
import torch
from torch import Tensor

from cortexsim.models import Network, inference
from cortexsim.models.inference import Runner
from cortexsim.models.transitions import resample

SIDE = 2048


class Meter:
    """Stands in for :func:`resample`, and adds up operations and seconds by kind."""

    def __init__(self) -> None:
        self.operations: dict[str, float] = defaultdict(float)
        self.seconds: dict[str, float] = defaultdict(float)

    def __call__(self, x: Tensor, weight: Tensor, stride: tuple[int, int],
                 size: Sequence[int] = (), bias: Tensor | None = None) -> Tensor:
        """Convolve, timed."""
        found: list[Tensor] = []
        took = common.seconds(lambda: found.append(resample(x, weight, stride, size, bias)))
        y = found[0]
        up = y.shape[2] > x.shape[2] or y.shape[3] > x.shape[3]
        kind = "deconvolutions" if up else ("convolutions" if stride == (1, 1) else
                                            "strided convolutions")
        places = (x if up else y)[:, 0].numel()
        self.operations[kind] += 2 * places * weight.numel()
        self.seconds[kind] += took
        return y


def product(dtype: torch.dtype) -> float:
    """Return the operations per second of a matrix product."""
    a = torch.randn(SIDE, SIDE).to(dtype)
    return 2 * SIDE**3 / min(common.seconds(lambda: a @ a) for _ in range(3))


def one_round(runner: Runner, network: Network, images: Tensor, steps: int) -> Meter:
    """Take some steps, every area wanted."""
    graph, meter = network.graph, Meter()
    drive = runner.drive(images)
    state = {graph.first.name: drive}
    inference.resample = meter
    try:
        for s in range(1, steps + 1):
            state = runner.step(state, s, drive=drive if graph.input == "sustained" else None)
    finally:
        inference.resample = resample
    return meter


def main() -> None:
    """Print the shares by kind of convolution."""
    parser = common.parser(__doc__, rounds=9)
    parser.add_argument("--network", default="fig9-3state-full", help="a preset")
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    results = common.begin(options)
    network, data = common.large(options.network)
    images = torch.from_numpy(common.to_input(data.images[:options.batch]))
    print(f"{options.network}, batch {options.batch}: share of the rate of a {SIDE} x {SIDE} "
          "product, median [range]")
    for precision, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        runner = Runner(network, precision)
        shares: dict[str, list[float]] = defaultdict(list)
        rates = []
        with torch.inference_mode():
            for _ in range(options.rounds + 1):
                rate, meter = product(dtype), one_round(runner, network, images, 3)
                rates.append(rate)
                for kind in meter.seconds:
                    shares[kind].append(meter.operations[kind] / meter.seconds[kind] / rate)
                shares["all"].append(
                    sum(meter.operations.values()) / sum(meter.seconds.values()) / rate)
        print(f"{precision}: product {statistics.median(rates[1:]) / 1e9:.0f} GFLOP/s")
        found: dict[str, object] = {"product GFLOP/s": round(statistics.median(rates[1:]) / 1e9)}
        for kind, each in shares.items():
            each = sorted(each[1:])  # in the first round memory is taken for the first time
            median = statistics.median(each)
            wanted = 0.7 if (kind, precision) == ("all", "float32") else None
            print(f"  {kind:24s} {median:5.2f} [{each[0]:.2f}, {each[-1]:.2f}]"
                  + (f"   wanted {wanted}" if wanted else ""))
            found[kind] = {"median": round(median, 3), "lowest": round(each[0], 3),
                           "highest": round(each[-1], 3), "wanted": wanted}
        results[precision] = found
    common.finish(options, results)


if __name__ == "__main__":
    main()
