"""The tables of analysis/scaling.md: what was measured, and a plan for a million trials from it.

    python analysis/benchmarks/scaling_plan.py [--results FILE] [--page FILE]

Reads what scaling.py and workers.py wrote, and puts each table into the page between the lines
that name it.
What is assumed, and not measured, stands in ASSUMED, and goes into the page as a table, too.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
TRIALS, GPUS = 1_000_000, (1, 8, 64)


class Assumed(NamedTuple):
    """A number that was not measured: its lowest and highest value, and where it is from."""

    low: float
    high: float
    text: str
    source: str


ASSUMED = {
    "float32": Assumed(0.3 * 19.5e12, 0.6 * 19.5e12, "GPU, float32: 5.9 to 11.7 TFLOP/s",
                       "30 to 60 % of an A100's published peak of 19.5 TFLOP/s (without TF32, "
                       "which runs do not use); the share is a guess"),
    "bf16": Assumed(0.1 * 312e12, 0.3 * 312e12, "GPU, bf16: 31 to 94 TFLOP/s",
                    "10 to 30 % of an A100's published peak of 312 TFLOP/s; the share is a guess"),
    "copy": Assumed(10e9, 20e9, "GPU to memory: 10 to 20 GB/s", "PCIe 4.0 x16 has 32 GB/s"),
    "disk": Assumed(1e9, 10e9, "storage that all workers share: 1 to 10 GB/s",
                    "a parallel file system's share, or an object store by 10 to 100 Gbit/s"),
    "request": Assumed(0.02, 0.1, "one request to an object store: 20 to 100 ms", "usual of S3"),
}
#: Requests that a worker has under way at a time (cortexsim/stores.py), and stimuli in a chunk.
TOGETHER, MICROBATCH = 16, 32


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = True) -> str:
    """Return a table of Markdown, with what follows the first column to the right if numbers."""
    rest = "---:" if numbers else "---"
    lines = [header, ["---"] + [rest] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def span(seconds: float) -> str:
    """Return a time in the unit that suits it, with two digits."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= 1.5 * length or unit == "s":
            return f"{digits(seconds / length)} {unit}"
    raise AssertionError


def digits(value: float) -> str:
    """Return a number with two digits that count."""
    if value >= 10:
        return f"{float(f'{value:.2g}'):,.0f}"
    return f"{value:.2g}"


def size(count: float) -> str:
    """Return bytes in the unit that suits them."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{digits(count / length)} {unit}"
    return f"{count:.0f} B"


def cost(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of what was timed."""
    fit, cases = found["cost"]["fit"], found["cost"]["cases"]
    errors = dict(zip(cases, fit["errors"], strict=True))

    def row(name: str, *more: str) -> list[str]:
        case = cases[name]
        a_step = case["seconds"]["median"] / case["computed"]
        rate = case["multiply_adds"] / case["seconds"]["median"]
        return [*more, f"{case['multiply_adds'] / case['computed'] / 1e6:,.1f}",
                f"{1e3 * a_step:,.2f} [{1e3 * case['seconds']['lowest'] / case['computed']:,.2f}, "
                f"{1e3 * case['seconds']['highest'] / case['computed']:,.2f}]",
                f"{rate / 1e9:.1f}", f"{100 * errors[name]:+.0f} %"]

    head = ["multiply-adds a step, M", "ms an image and step [range]", "G multiply-adds/s",
            "model's error"]
    sizes = [name for name in cases if name.startswith("size")]
    others = [name for name in cases if name not in sizes]
    return {
        "size": table(["V1 to IT, pixels", "units", "parameters, M", *head], [
            row(name, f"{width} to {8 * int(width)} channels, {pixels}",
                f"{cases[name]['units']:,d}", f"{cases[name]['parameters'] / 1e6:.2f}")
            for name in sizes for _, width, pixels in [name.split()]]),
        "courses": table(["varied", "steps computed, of", *head], [
            row(name, name, f"{cases[name]['computed']} of {cases[name]['apart']}")
            for name in others]),
        "model": (
            f"seconds of a stimulus = {1e3 * fit['seconds_a_step']:.2f} ms x steps computed + "
            f"multiply-adds / {fit['multiply_adds_a_second'] / 1e9:.1f} G/s; error on each row, "
            f"fitted to all others: median {100 * fit['median_error']:.0f} %, largest "
            f"{100 * fit['largest_error']:.0f} %."),
    }


def bytes_and_feeding(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of storage, writing, memory and what feeds a run."""
    kept: dict[str, dict[str, Any]] = {}
    for name, one in found["storage"].items():
        network, what = name.split(", ", 1)
        kept.setdefault(what, {})[network] = one
    networks = list(next(iter(kept.values())))
    return {
        "storage": table(
            ["recorded of all areas", *(f"{name.replace(' ', ' channels in V1, ')} px"
                                        for name in networks), "objects a chunk"],
            [[what, *(size(one[name]["on_disk"]) for name in networks),
              str(one[networks[0]]["objects_a_chunk"])] for what, one in kept.items()]),
        "writing": table(
            ["written", "chunk", "store", "plain file"],
            [[name, size(one["chunk_bytes"]), f"{size(one['store_bytes_a_second'])}/s",
              f"{size(one['file_bytes_a_second'])}/s"] for name, one in found["writing"].items()]),
        "memory": table(
            ["V1, pixels", "process at its peak", "MB a stimulus in the batch"],
            [[name.replace(" ", " channels, "), ", ".join(
                f"{size(peak)} with {count}" for count, peak in one["peaks"].items()),
              f"{one['bytes_a_stimulus'] / 1e6:.1f}"] for name, one in found["memory"].items()]),
        "feeding": table(
            ["before or beside the network", "measured"],
            [*([name, f"{1e3 * each:.3g} ms an image"]
               for name, each in found["feeding"].items()),
             ["start of the program", span(found["starting"]["program"])],
             ["preparing the largest network for ten steps",
              span(found["starting"]["network"])]]),
    }


def stages(found: dict[str, Any], count: int) -> dict[str, tuple[float, float]]:
    """Return the shortest and longest time of each stage on so many GPUs, one worker each."""
    plan, feeding = found["experiment"], found["feeding"]
    stimuli, pixels = TRIALS / plan["conditions"], found["experiment"]["size"][1]
    operations = 2 * plan["multiply_adds"] * stimuli
    masks = stimuli * (feeding[f"phase_scrambled, {pixels} px"] + feeding[f"target, {pixels} px"])
    load = stimuli * (feeding["JPEG of 500x375 to 224 px"] + feeding["hash, 224 px"])
    start = sum(found["starting"].values())
    rate = found["writing"]
    made = {
        "start, network prepared": (start, start),
        "each worker decodes and hashes all images": (load, load),
        "compute, float32": _by(operations / count, ASSUMED["float32"]),
        "compute, bf16": _by(operations / count, ASSUMED["bf16"]),
        "render pictures, one core a worker": (masks / count, masks / count),
    }
    for what in ("maps, float32", "maps, float16", "channel means, float32"):
        volume = TRIALS * plan["trial_bytes"][what]
        own = volume / count / rate[what]["store_bytes_a_second"]
        made[f"write {what}: one core a worker"] = (own, own)
        made[f"write {what}: shared storage"] = _by(volume, ASSUMED["disk"])
        if what.startswith("maps"):
            made[f"copy {what} from the GPU"] = _by(volume / count, ASSUMED["copy"])
        chunks = stimuli / MICROBATCH / count
        waves = -(-plan["objects_a_chunk"][what] // TOGETHER) + 1  # and 'done' behind them
        slow = ASSUMED["request"]
        made[f"requests, {what}"] = (chunks * waves * slow.low, chunks * waves * slow.high)
    return made


def _by(amount: float, rate: Assumed) -> tuple[float, float]:
    return amount / rate.high, amount / rate.low


def plan(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of a million trials."""
    one = found["experiment"]
    each = {count: stages(found, count) for count in GPUS}
    stimuli = TRIALS // one["conditions"]

    def between(pair: tuple[float, float]) -> str:
        low, high = map(span, pair)
        return low if low == high else f"{low} to {high}"

    fit = found["cost"]["fit"]
    alone = stimuli * (fit["seconds_a_step"] * one["computed"]
                       + one["multiply_adds"] * fit["seconds_a_multiply_add"])
    return {
        "experiment": table(["a million trials", ""], [
            ["stimuli x conditions", f"{stimuli:,d} x {one['conditions']}"],
            ["steps of a trial; computed for a stimulus, of",
             f"{one['steps']}; {one['computed']} of {one['apart']}"],
            ["multiply-adds of a stimulus, G", f"{one['multiply_adds'] / 1e9:,.0f}"],
            ["floating-point operations in all",
             f"{2 * one['multiply_adds'] * stimuli:.1e}".replace("e+", " x 10^")],
            ["pictures to render", f"{one['frames']} a stimulus"],
            ["images in memory, of each worker", size(stimuli * one["pixels"])],
            *[[f"recorded as {what}", size(TRIALS * count)]
              for what, count in one["trial_bytes"].items()],
            ["by this machine's processor alone, by the model", span(alone)]]),
        "stages": table(["stage", *(f"{count} GPU{'s' * (count > 1)}" for count in GPUS)],
                        [[stage, *(between(each[count][stage]) for count in GPUS)]
                         for stage in each[1]]),
        "assumed": table(["assumed", "from"],
                         [[one.text, one.source] for one in ASSUMED.values()], numbers=False),
    }


def workers(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of runs on several workers: ratios, with their range."""
    rows = [[what, *(f"{ratio:.2f}" for ratio in ratios)] for what, ratios in found.items()
            if isinstance(ratios, list)]
    said = (f"{found['network']}, {found['protocol']}, {found['trials']:,d} trials, "
            f"{found['hardware']}, {found['rounds']} rounds:\n\n")
    return {"workers": said + table(["times as fast", "median", "lowest", "highest"], rows)}


def main() -> None:
    """Put the tables into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, default=HERE / "results" / "scaling.json")
    parser.add_argument("--workers", type=Path, default=HERE / "results" / "workers.json")
    parser.add_argument("--page", type=Path, default=HERE.parent / "scaling.md")
    options = parser.parse_args()
    found = json.loads(options.results.read_text())
    text = options.page.read_text()
    busy = ("" if found["load"] < 1 else
            ". **Others used the machine, so that times are too long: measure again.**")
    made = {**cost(found), **bytes_and_feeding(found), **plan(found),
            "hardware": f"{found['hardware']}, torch {found['torch']}, medians of "
                        f"{found['rounds']} rounds; load average before: "
                        f"{found['load']:.1f}{busy}"}
    if options.workers.exists():
        made |= workers(json.loads(options.workers.read_text()))
    for name, part in made.items():
        between = re.compile(rf"(<!-- {name} -->\n)(?:.*?\n)??(<!-- end -->)", re.S)
        text, count = between.subn(lambda found, part=part: f"{found[1]}{part}\n{found[2]}",
                                  text)
        if count != 1:
            raise SystemExit(f"{options.page} has {count} places for '{name}', not 1")
    options.page.write_text(text)


if __name__ == "__main__":
    main()
