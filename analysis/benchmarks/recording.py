"""What recording costs: the time of a run that records over that of one that records nothing.

    python analysis/benchmarks/recording.py [--network NETWORK] [--trials N] [--rounds N]

Backward masking (with a preset, a picture for ten steps) runs again and again, in turn with
nothing but scores, with the spatial means of all areas, with whole maps in float16 and in
float32, each time into a new store on the disk of the folder for temporary files. Printed are
the median and the range, over the rounds, of the time over that of the scores alone in the
same round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import common
import torch

import cortexsim as cs
from cortexsim import presets, resources
from cortexsim.devices import device, hardware
from cortexsim.models import Network
from cortexsim.stimuli.datasets import Dataset

#: What is recorded, by what to call it; the first is what the others are compared with.
WHAT = {
    "scores alone": cs.Record(areas=()),
    "spatial means": cs.Record(reduce="mean"),
    "summaries": cs.Record(reduce="summary"),
    "maps, float16": cs.Record(reduce="none", dtype="float16"),
    "maps, float32": cs.Record(reduce="none"),
}


def chosen(network: str) -> tuple[cs.Protocol, tuple[Network, Dataset]]:
    """Return what to run: masking on a network that comes along, else a picture that stays on."""
    if network in presets.names():
        return common.shown_for(common.CALIBRATED), common.large(network)
    loaded = cs.load_network(network)
    return (cs.Protocol.from_yaml(resources.protocols()["backward_mask"]),
            (loaded.network, cs.load_dataset(loaded.card["data"]["dataset"], "test")))


def main(network: str, trials: int, rounds: int) -> None:
    """Run in turn, and print ratios."""
    protocol, (tested, images) = chosen(network)
    taken: dict[str, list[float]] = {name: [] for name in WHAT}
    written = dict.fromkeys(WHAT, 0.0)
    for number in range(rounds + 1):
        for name, record in WHAT.items():
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "recording.zarr"
                begun = time.perf_counter()
                cs.simulate(tested, protocol, images, record=record, trials=trials,
                            out=out, progress=False).close()
                seconds = time.perf_counter() - begun
                written[name] = sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 1e6
            if number:  # in the first round memory is taken for the first time
                taken[name].append(seconds)
    base = taken[next(iter(WHAT))]
    print(f"{network}, {protocol.name}, {trials} trials, float32; {hardware(device())}, "
          f"torch {torch.__version__}; {rounds} rounds")
    print(f"{'':16s} {'seconds':>8s} {'MB':>8s}   time / time of the scores alone [range]")
    for name, seconds in taken.items():
        ratios = sorted(one / other for one, other in zip(seconds, base, strict=True))
        print(f"{name:16s} {statistics.median(seconds):8.2f} {written[name]:8.1f}   "
              f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="digits-leaky",
                        help="one that comes along, or a preset, which is not trained")
    parser.add_argument("--trials", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    main(options.network, options.trials, options.rounds)
