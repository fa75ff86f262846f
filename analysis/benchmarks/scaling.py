"""What a trial costs against the network's size, steps and conditions: compute, bytes, memory.

    python analysis/benchmarks/scaling.py [--rounds 5] [--out results/scaling.json]

Networks are chains of V1, V2, V4 and IT, connected to their neighbours and to themselves, with
channels that double and maps that halve from area to area, as in the ventral models for
ImageNet; weights are random, since that changes no time. Measured are

- seconds of what a run computes up to the disk, the network prepared before, of networks of
  several sizes, of more and more steps, and of more and more conditions that share their past.
  To them is fitted: seconds of a stimulus = a x steps computed + b x multiply-adds;
- bytes of a trial on disk, for each way to record, and how fast the store is written;
- memory of the process against the stimuli in a batch, in processes of their own;
- what feeds it: rendering stimuli, decoding JPEGs, hashing images; and what comes before:
  the program's start, the network's preparation.

`scaling_plan.py` makes the tables of ../scaling.md from the results.
"""

from __future__ import annotations

import functools
import io
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from PIL import Image

from cortexsim import Record, load_dataset
from cortexsim.graph import AreaGraph
from cortexsim.models import Network
from cortexsim.simulation.plan import Plan, prepare
from cortexsim.simulation.recorder import Recorder
from cortexsim.simulation.tree import Tree
from cortexsim.stimuli import datasets
from cortexsim.stimuli.datasets import Dataset
from cortexsim.stimuli.movie import Movie
from cortexsim.stimuli.protocol import Protocol

#: Channels of V1, and pixels of the image; the last is what is meant by ImageNet-size.
SIZES = ((16, 32), (16, 64), (32, 64), (32, 128), (64, 128), (32, 224), (64, 224))
#: On which steps and conditions are varied.
MIDDLE = (32, 64)
STEPS, CONDITIONS = (5, 10, 20, 40), (1, 2, 4, 8, 16)
#: What is kept of each area, by what to call it.
RECORDS = {
    "maps, float32": Record(reduce="none"),
    "maps, float16": Record(reduce="none", dtype="float16"),
    "100 units, float32": Record(reduce="units:100"),
    "channel means, float32": Record(reduce="mean"),
    "summaries": Record(reduce="summary"),
}
#: The experiment that is planned for: backward masking, of ImageNet's validation images.
MASKING = (
    "name: masking\nms_per_step: 12.5\nduration_ms: 250\n"
    f"factors: {{soa_ms: [{', '.join(str(12.5 * (k + 1)) for k in range(10))}], "
    "mask: [none, phase_scrambled]}\n"
    "timeline:\n  - {show: target, at_ms: 0, for_ms: $soa_ms}\n"
    "  - {show: $mask, at_ms: $soa_ms, until: end}\n")
PICTURES = ("target", "white_noise", "block_scrambled", "phase_scrambled")
#: Megabytes of a chunk that is written, about.
CHUNK_MB = 64


def graph_of(width: int, pixels: int) -> AreaGraph:
    """Return the chain with so many channels in V1, for images of so many pixels a side."""
    return AreaGraph.chain(["V1", "V2", "V4", "IT"], channels=[width * 2**k for k in range(4)],
                           sizes=[pixels // (4 * 2**k) for k in range(4)],
                           image=(3, pixels, pixels), readout_time=5)


@functools.cache
def sized(width: int, pixels: int) -> tuple[Network, Dataset]:
    """Return that network, calibrated to the usual number of steps, and images of noise."""
    network, images = common.untrained(graph_of(width, pixels), images=4)
    network.beyond = "last"
    return network, images


def planned(size: tuple[int, int], protocol: Protocol, stimuli: int, *,
            record: Record | None = None) -> Plan:
    """Plan a run in one batch, of means unless something else is recorded."""
    network, images = sized(*size)
    return prepare(network, protocol, images.take(np.arange(stimuli) % len(images)),
                   record=record or Record(reduce="mean"), seed=0, trials=None, device="cpu",
                   precision="float32", microbatch=stimuli)


def shown_then_grey(conditions: int) -> Protocol:
    """Return a protocol of 20 steps; the picture goes off after 1, 2, ... of them."""
    levels = ", ".join(str(12.5 * (k + 1)) for k in range(conditions))
    return Protocol.from_text(
        f"name: durations\nms_per_step: 12.5\nduration_ms: 250\nfactors: {{on_ms: [{levels}]}}\n"
        "timeline:\n  - {show: target, at_ms: 0, for_ms: $on_ms}\n"
        "  - {show: grey, at_ms: $on_ms, until: end}\n")


def computed(tree: Tree) -> int:
    """Count the multiply-adds of all convolutions that a stimulus takes in all conditions."""
    total = 0

    def fired(moment: Any) -> int:
        return sum(common.multiply_adds(tree.graph, connection)
                   for _, firing in moment.fires for connection in firing)

    for segment in tree.segments():
        total += sum(fired(moment) for moment in segment.moments[1:])
        shared = {child.group: child.moments[0] for child in segment.children}
        total += sum(map(fired, shared.values()))
    return total


def cases() -> dict[str, dict[str, Any]]:
    """Return what is timed, by name: a plan, and what it is about."""
    found: dict[str, dict[str, Any]] = {}
    for width, pixels in SIZES:
        stimuli = 4 if pixels > 128 else 8 if pixels > 64 else 16
        found[f"size {width} {pixels}"] = {
            "plan": planned((width, pixels), common.shown_for(10), stimuli)}
    for steps in STEPS:
        found[f"steps {steps}"] = {"plan": planned(MIDDLE, common.shown_for(steps), 16)}
    for count in CONDITIONS:
        found[f"conditions {count}"] = {"plan": planned(MIDDLE, shown_then_grey(count), 8)}
    for case in found.values():
        plan: Plan = case["plan"]
        case |= {"stimuli": plan.layout.stimuli, "conditions": plan.layout.conditions,
                 "steps": plan.layout.indices[-1], "computed": plan.tree.steps,
                 "apart": plan.tree.steps_apart, "multiply_adds": computed(plan.tree),
                 "units": sum(math.prod(area.shape) for area in plan.layout.areas),
                 "parameters": sum(p.numel() for p in plan.network.parameters())}
    return found


def run(plan: Plan) -> None:
    """Compute a plan up to the disk; its network is prepared once and stays so."""
    for _ in common.chunks(plan):
        pass


def cost(rounds: int) -> dict[str, Any]:
    """Time all cases in turn, and fit the model to them."""
    found = cases()
    plans = {name: case.pop("plan") for name, case in found.items()}
    times = common.in_turn({name: functools.partial(run, plan) for name, plan in plans.items()},
                           rounds)
    for name, case in found.items():
        each = sorted(seconds / case["stimuli"] for seconds in times[name])
        case["seconds"] = {"median": float(np.median(each)), "lowest": each[0],
                           "highest": each[-1]}
        print(f"{name:16s} {case['multiply_adds'] / 1e6:10.1f} M multiply-adds a stimulus "
              f"{1e3 * case['seconds']['median']:9.2f} ms", flush=True)
    return {"cases": found, "fit": fit(list(found.values()))}


def fit(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fit seconds = a x steps computed + b x multiply-adds, by relative errors.

    Its error is that on each row when fitted to all others.
    """
    x = np.array([[row["computed"], row["multiply_adds"]] for row in rows], float)
    y = np.array([row["seconds"]["median"] for row in rows])

    def solve(keep: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(x[keep] / y[keep, None], np.ones(keep.sum()), rcond=None)[0]

    everything = np.ones(len(y), bool)
    errors = []
    for row in range(len(y)):
        others = everything.copy()
        others[row] = False
        errors.append(float(x[row] @ solve(others) / y[row] - 1))
    a, b = solve(everything)
    return {"seconds_a_step": float(a), "seconds_a_multiply_add": float(b),
            "multiply_adds_a_second": float(1 / b), "errors": errors,
            "median_error": float(np.median(np.abs(errors))),
            "largest_error": float(np.max(np.abs(errors)))}


def storage() -> dict[str, Any]:
    """Return the bytes of a trial of ten steps, before compression and on disk."""
    found: dict[str, Any] = {}
    for size, stimuli in ((MIDDLE, 16), (SIZES[-1], 2)):
        for name, record in RECORDS.items():
            plan = planned(size, common.shown_for(10), stimuli, record=record)
            layout = plan.layout
            raw = sum(spec.trial_bytes for spec in layout.arrays.values())
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder)
                recorder = Recorder(out, layout, {})
                recorder.write(0, next(common.chunks(plan)))
                recorder.close()
                written = sum((out / path / "c").exists() and sum(
                    file.stat().st_size for file in (out / path / "c").rglob("*")
                    if file.is_file()) for path in layout.arrays)
            found[f"{size[0]} {size[1]}, {name}"] = {
                "before": raw, "on_disk": written / layout.trials,
                "objects_a_chunk": len(layout.arrays) + 1}
            print(f"{size} {name:24s} {raw:12,d} bytes a trial, {written / layout.trials:14,.0f} "
                  "on disk", flush=True)
    return found


def writing(rounds: int) -> dict[str, Any]:
    """Return how fast a store is written, and plain files of the same size."""
    found: dict[str, Any] = {}
    for name in ("maps, float32", "maps, float16", "channel means, float32"):
        plan = planned(SIZES[-1], common.shown_for(10), 2, record=RECORDS[name])
        trial = sum(spec.trial_bytes for spec in plan.layout.arrays.values())
        count = max(2, int(CHUNK_MB * 1e6 / trial))
        plan = planned(SIZES[-1], common.shown_for(10), min(count, 512), record=RECORDS[name])
        layout, rng = plan.layout, np.random.default_rng(0)
        values = {}
        for path, spec in layout.arrays.items():
            shape = (layout.chunk_trials, *spec.lying)
            values[path] = spec.logical(  # in the order in which a run has them in memory
                rng.standard_normal(shape, np.float32).astype(spec.dtype)
                if spec.dtype.kind in "fb" else np.full(shape, "target", spec.dtype))
        size = sum(array.nbytes for array in values.values())
        with tempfile.TemporaryDirectory() as folder:
            (store := Path(folder) / "store").mkdir()
            recorder = Recorder(store, layout, {})
            data = np.zeros(size, np.uint8).tobytes()
            calls: dict[str, Callable[[], object]] = {
                "store": functools.partial(recorder.write, 0, values),
                "file": functools.partial((Path(folder) / "plain").write_bytes, data)}
            times = common.in_turn(calls, rounds)
            recorder.close()
        found[name] = {"chunk_bytes": size, **{
            f"{key}_bytes_a_second": size / float(np.median(taken))
            for key, taken in times.items()}}
        print(f"writing {name:24s} {found[name]['store_bytes_a_second'] / 1e6:8.0f} MB/s, plain "
              f"files {found[name]['file_bytes_a_second'] / 1e6:.0f} MB/s", flush=True)
    return found


def peak(width: int, pixels: int, stimuli: int) -> int:
    """Run one batch for four steps, and return the peak of this process's memory in bytes."""
    common.CALIBRATED = 4
    for _ in common.chunks(planned((width, pixels), common.shown_for(4), stimuli)):
        pass
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def memory() -> dict[str, Any]:
    """Return the bytes of a process against the stimuli in a batch."""
    found: dict[str, Any] = {}
    for width, pixels in (MIDDLE, SIZES[-2], SIZES[-1]):
        counts = (64, 256) if pixels < 128 else (4, 16)
        peaks = {count: int(subprocess.run(
            [sys.executable, __file__, "--peak", str(width), str(pixels), str(count)],
            check=True, capture_output=True, text=True).stdout) for count in counts}
        few, many = counts
        found[f"{width} {pixels}"] = {"peaks": peaks, "bytes_a_stimulus":
                                      (peaks[many] - peaks[few]) / (many - few)}
        print(f"memory {width} {pixels}: {found[f'{width} {pixels}']['bytes_a_stimulus'] / 1e6:.1f}"
              " MB a stimulus", flush=True)
    return found


def feeding(rounds: int) -> dict[str, Any]:
    """Return seconds of an image: to render it, to decode it, to hash it."""
    found: dict[str, Any] = {}
    stimuli = list(range(8))
    for pixels in (MIDDLE[1], SIZES[-1][1]):
        values = np.random.default_rng(0).integers(0, 256, (8, 3, pixels, pixels), np.uint8)
        images = Dataset(values, np.arange(8) % 2, [str(k) for k in range(8)], ("a", "b"),
                         "noise", "test")
        calls: dict[str, Callable[[], object]] = {}
        for picture in PICTURES:
            protocol = Protocol.from_text(
                "name: x\nms_per_step: 10\nduration_ms: 20\ntimeline:\n"
                f"  - {{show: {picture}, at_ms: 0, until: end}}\n")
            movie = Movie(protocol, images, 0, "sustained")
            calls[picture] = functools.partial(movie.frame, protocol.conditions[0], 0, stimuli)
        for name, taken in common.in_turn(calls, rounds).items():
            found[f"{name}, {pixels} px"] = float(np.median(taken)) / len(stimuli)
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        for number in range(16):
            # smooth, as photographs are, and of the usual size of ImageNet's
            small = Image.fromarray(rng.integers(0, 256, (47, 63, 3), np.uint8))
            data = io.BytesIO()
            small.resize((500, 375), Image.Resampling.BICUBIC).save(data, "JPEG", quality=90)
            (Path(folder) / f"{number}.jpg").write_bytes(data.getvalue())
        read = functools.partial(load_dataset, folder, shape=(3, SIZES[-1][1], SIZES[-1][1]))
        taken = common.in_turn({"read": read}, rounds)["read"]
        found["JPEG of 500x375 to 224 px"] = float(np.median(taken)) / 16
    taken = common.in_turn({"hash": functools.partial(datasets.sha256, [images])}, rounds)["hash"]
    found["hash, 224 px"] = float(np.median(taken)) / len(images)
    for name, seconds in found.items():
        print(f"{name:28s} {1e3 * seconds:8.3f} ms an image", flush=True)
    return found


def experiment() -> dict[str, Any]:
    """Return what one stimulus of the planned experiment takes; counted, not timed."""
    protocol = Protocol.from_text(MASKING)
    plans = {name: planned(SIZES[-1], protocol, 2, record=record)
             for name, record in RECORDS.items()}
    plan = next(iter(plans.values()))
    return {"size": SIZES[-1], "conditions": plan.layout.conditions,
            "steps": plan.layout.indices[-1], "computed": plan.tree.steps,
            "apart": plan.tree.steps_apart, "multiply_adds": computed(plan.tree),
            "frames": len(plan.tree.uses),
            "pixels": int(np.prod(plan.images.images.shape[1:])),
            "trial_bytes": {name: sum(spec.trial_bytes for spec in plan.layout.arrays.values())
                            for name, plan in plans.items()},
            "objects_a_chunk": {name: len(plan.layout.arrays) + 1
                                for name, plan in plans.items()}}


def starting(rounds: int) -> dict[str, Any]:
    """Return seconds before the first chunk: the program, and the network's preparation."""
    line = [sys.executable, "-c", "import cortexsim.experiment"]
    plan = planned(SIZES[-1], common.shown_for(10), 2)
    taken = common.in_turn({"program": lambda: subprocess.run(line, check=True),
                            "fresh": common.simulate(plan),
                            "prepared": functools.partial(run, plan)}, rounds)
    found = {name: float(np.median(each)) for name, each in taken.items()}
    return {"program": found["program"], "network": found["fresh"] - found["prepared"]}


def main() -> None:
    """Measure everything and write it."""
    parser = common.parser(__doc__, rounds=5)
    parser.add_argument("--peak", type=int, nargs=3, help="of one process, for the script itself")
    options = parser.parse_args()
    if options.peak:
        print(peak(*options.peak))
        return
    results = common.begin(options)
    # numbers of a busy machine are to be known as such
    results |= {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
    # memory first: a process that is started counts the peak of the one that starts it as its own
    results |= {"memory": memory(), "cost": cost(options.rounds), "storage": storage(),
                "writing": writing(options.rounds),
                "feeding": feeding(options.rounds), "starting": starting(options.rounds),
                "experiment": experiment()}
    common.finish(options, results)


if __name__ == "__main__":
    main()
