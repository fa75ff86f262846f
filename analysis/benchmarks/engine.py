"""How many times as fast as a plain PyTorch loop simulations are.

    python analysis/benchmarks/engine.py [--rounds 7] [--only mask] [--out results.json]

The plain loop is `reference.py`, in float32, every condition and every readout time run
by itself. Ours is what `cortexsim run` computes, up to the disk: frames, the network's
preparation, the walk through the conditions, reductions, buffers. Both take the same
stimuli in batches of the same size, in turn, in one process. First their scores are shown
to agree; without that, no ratio is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import common
import numpy as np
import torch
from reference import Reference, frames_of

from cortexsim import resources, schema
from cortexsim.graph import AreaGraph
from cortexsim.models import Network
from cortexsim.models.inference import Runner
from cortexsim.simulation.plan import Plan
from cortexsim.stimuli.datasets import Dataset, to_input
from cortexsim.stimuli.protocol import Protocol

#: Largest difference of scores, relative to the largest score.
TOLERANCE = {"float32": 1e-4, "bf16": 0.1}


def plain(reference: Reference, plan: Plan, *, each_readout: bool = False,
          ) -> Callable[[], np.ndarray]:
    """Return a call that runs a plan's conditions one by one on the reference.

    Parameters
    ----------
    reference
        The network.
    plan
        Whose stimuli, batches and conditions.
    each_readout
        Run anew for each readout time, as long as it takes, and read once.
    """
    steps, last = plan.layout.indices[-1], plan.layout.indices

    def call() -> np.ndarray:
        found = np.full((plan.layout.stimuli, len(plan.courses), steps + 1,
                         reference.network.classes), np.nan, np.float32)
        with torch.inference_mode():
            for chunk in range(plan.layout.chunks):
                rows, seen = plan.stimuli(chunk), {}
                batch = plan.batch(rows)
                for number, course in enumerate(plan.courses):
                    frames = frames_of(plan.movie, batch, course.condition, steps, seen)
                    runs = [(t, [t]) for t in reference.graph.readout_times(steps)]
                    for end, times in runs if each_readout else [(steps, last)]:
                        scores, _ = reference.run(frames[: end + 1], times)
                        for t, values in scores.items():
                            found[rows, number, t] = values[: len(rows)]
        return found

    return call


def check(title: str, plain_scores: np.ndarray, plan: Plan) -> None:
    """Stop unless the engine's scores are those of the plain loop."""
    rows = [values[schema.SCORES].copy() for values in common.chunks(plan)]
    ours = np.concatenate(rows)[: plan.layout.trials].reshape(plain_scores.shape)
    same = np.isnan(ours) == np.isnan(plain_scores)
    apart = np.nanmax(np.abs(ours - plain_scores)) / np.nanmax(np.abs(plain_scores))
    if not same.all() or not apart < TOLERANCE[plan.precision]:
        raise SystemExit(f"{title}, {plan.precision}: scores differ by {apart:.1e}: no ratio")


def compare(title: str, network: Network, images: Dataset, protocol: Protocol, rounds: int,
            targets: dict[str, float], *, stimuli: int = 128, areas: tuple[str, ...] | None = None,
            each_readout: bool = False) -> dict[str, object]:
    """Check that both sides agree, then time them in turn."""
    plans = {precision: common.planned(network, images, protocol, precision=precision,
                                       stimuli=stimuli, areas=areas)
             for precision in ("float32", "bf16")}
    slow = plain(Reference(network), plans["float32"], each_readout=each_readout)
    for plan in plans.values():
        check(title, slow(), plan)
    times = common.in_turn({"plain": slow} | {name: common.simulate(plan)
                                              for name, plan in plans.items()}, rounds)
    return common.ratios(times, "plain", title, targets)


def readout(title: str, network: Network, images: Dataset, rounds: int,
            targets: dict[str, float], count: int = 64) -> dict[str, object]:
    """Compare when only the scores at the graph's readout time are wanted."""
    graph, reference = network.graph, Reference(network)
    time, pictures = graph.readout_time, torch.from_numpy(to_input(images.images[:count]))
    frames = [pictures if t == 0 or graph.input == "sustained" else None for t in range(time + 1)]

    def slow() -> np.ndarray:
        with torch.inference_mode():
            return reference.run(frames, [time])[0][time]

    def ours(precision: str) -> Callable[[], np.ndarray]:
        runner = Runner(network, precision)
        needed = graph.needed([{graph.last.name} if t == time else set()
                               for t in range(time + 1)])
        return lambda: run_to(runner, graph, pictures, needed)

    calls = {"plain": slow, "float32": ours("float32"), "bf16": ours("bf16")}
    wanted = slow()
    for precision in ("float32", "bf16"):
        apart = np.abs(calls[precision]() - wanted).max() / np.abs(wanted).max()
        if not apart < TOLERANCE[precision]:
            raise SystemExit(f"{title}, {precision}: scores differ by {apart:.1e}: no ratio")
    return common.ratios(common.in_turn(calls, rounds), "plain", title, targets)


def run_to(runner: Runner, graph: AreaGraph, images: torch.Tensor,
           needed: Sequence[frozenset[str]]) -> np.ndarray:
    """Return the scores at the last index, computing what can reach them."""
    with torch.inference_mode():
        drive = runner.drive(images)
        state = {graph.first.name: drive}
        for s in range(1, len(needed)):
            state = runner.step(state, s, drive=drive if graph.input == "sustained" else None,
                                areas=needed[s])
        return runner.readout(state, len(needed) - 1).numpy()


def main() -> None:
    """Compare what was asked for."""
    parser = common.parser(__doc__, rounds=7)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", default=[],
                        help="one of these; may be given again")
    options = parser.parse_args()
    results = common.begin(options)
    print(f"{'time of the plain loop / ours':44s} {'ours in':9s} median [range]")
    for name in options.only or BENCHMARKS:
        results[name] = BENCHMARKS[name](options.rounds)
    common.finish(options, results)


BENCHMARKS: dict[str, Callable[[int], dict[str, object]]] = {
    "large": lambda rounds: compare(
        "fig9-3state-full, 10 steps, means of all areas", *common.large(),
        common.shown_for(common.CALIBRATED), rounds, {"float32": 1.25, "bf16": 2.3}),
    "small": lambda rounds: compare(
        "digits-leaky, 30 steps, means of all areas", *common.small(), common.shown_for(30),
        rounds, {"float32": 1.35}),
    "readout": lambda rounds: readout(
        "digits-leaky, only the readout at t = 10", *common.small(), rounds,
        {"float32": 1.6}),
    "mask": lambda rounds: compare(
        "digits-leaky, backward_mask.yaml", *common.small(),
        Protocol.from_yaml(resources.protocols()["backward_mask"]), rounds,
        {"float32": 1.7, "bf16": 2.8}),
    "generalization": lambda rounds: compare(
        "digits-leaky, 30 readout times, scores alone", *common.small(), common.shown_for(30),
        rounds, {"float32": 18}, areas=(), each_readout=True),
}


if __name__ == "__main__":
    main()
