"""Whether memory grows with a recording: the peak of a run of many trials over that of fewer.

    python analysis/benchmarks/memory.py [--network NETWORK] [--trials FEWER MANY]

Each run is a process of its own, which records whole maps in float16 into a new store and
then says the most memory that it ever held (``ru_maxrss``). Stimuli are the data set's, again
and again under other names where more are asked for than it has; all processes hold the same.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import cortexsim as cs
from cortexsim import resources


def peak(network: str, trials: int, most: int) -> int:
    """Record so many trials, and return the peak of this process's memory in bytes."""
    protocol = cs.Protocol.from_yaml(resources.protocols()["backward_mask"])
    protocol = replace(protocol, trials=None)
    loaded = cs.load_network(network)
    images = cs.load_dataset(loaded.card["data"]["dataset"], "test")
    stimuli = -(-most // len(protocol.conditions))
    again = np.resize(np.arange(len(images)), stimuli)
    ids = [f"{images.ids[row]}-{place}" for place, row in enumerate(again)]
    images = replace(images, images=images.images[again], labels=images.labels[again], ids=ids)
    with tempfile.TemporaryDirectory() as folder:
        # one batch for all: of few stimuli, auto makes smaller ones of one size
        cs.simulate(loaded.network, protocol, images, trials=trials, progress=False, microbatch=25,
                    record=cs.Record(reduce="none", dtype="float16"),
                    out=Path(folder) / "recording.zarr").close()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def main(network: str, trials: list[int]) -> None:
    """Measure in processes of their own, and print."""
    found = []
    for count in trials:
        line = [sys.executable, __file__, "--network", network, "--trials", str(count),
                str(max(trials)), "--alone"]
        done = subprocess.run(line, check=True, capture_output=True, text=True)
        found.append(int(done.stdout))
        print(f"{count:8,d} trials: {found[-1] / 1e6:8,.0f} MB at the peak")
    print(f"{trials[-1]:,d} trials take {100 * (found[-1] / found[0] - 1):+.1f} % of memory more "
          f"than {trials[0]:,d}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="digits-leaky")
    parser.add_argument("--trials", type=int, nargs=2, default=[1000, 10_000])
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(peak(options.network, *options.trials))
    else:
        main(options.network, options.trials)
