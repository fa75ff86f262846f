"""What workers bring: runs on 1 and 2 of them against runs in one process; weak scaling.

    python analysis/benchmarks/workers.py [--network NETWORK] [--trials N] [--workers N]

Each worker is a process with one thread, of a local Dask cluster that is up, as those of a
cluster are; planning the run from its store, and loading network and images for that, count. In
turn, each time into a new store:

- the same trials in this process, with all threads and with one; on one worker; on all workers;
- weak scaling: as many trials for each worker, on one and on all;
- a run with `--workers`, which starts its workers and ends them: what that adds.

Printed are seconds, and how many times as fast, median and range over the rounds of ratios
within a round; 1 is perfect weak scaling.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import common
import torch
from distributed import LocalCluster

from cortexsim import experiment
from cortexsim.schema import RECORDING
from cortexsim.simulation import Cluster

#: Stimuli of a chunk, so that there are enough chunks for each worker.
BATCH = 15


@contextmanager
def cluster(workers: int) -> Iterator[Cluster]:
    """Start workers that stay, one thread each."""
    with LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit=None,
                      silence_logs=logging.ERROR, dashboard_address=None,
                      scheduler_kwargs={"dashboard": False, "dashboard_address": ":0"}) as there:
        yield Cluster(None, there.scheduler_address, experiment.plan_at)


def timed(network: str, protocol: str, trials: int, on: Cluster | None,
          threads: int | None = None) -> Callable[[], None]:
    """Return a call that records so many trials into a new store."""
    prepared = experiment.prepare(protocol, model=network, trials=trials, batch=BATCH)

    def call() -> None:
        was = torch.get_num_threads()
        torch.set_num_threads(threads or was)
        with tempfile.TemporaryDirectory() as folder:
            prepared.simulate(Path(folder) / RECORDING, cluster=on).close()
        torch.set_num_threads(was)

    return call


def main(options: argparse.Namespace) -> None:
    """Run in turn, and print ratios."""
    results = common.begin(options)
    each, count = options.trials, options.workers
    names = {"threads": f"this process, {torch.get_num_threads()} threads",
             "one": "this process, 1 thread", "single": "1 worker", "all": f"{count} workers",
             "share": f"1 worker, 1/{count} of the trials", "cold": f"--workers {count}"}
    with ExitStack() as stack:
        single, every = (stack.enter_context(cluster(n)) for n in (1, count))

        def run(trials: int, on: Cluster | None, threads: int | None = None,
                ) -> Callable[[], None]:
            return timed(options.network, options.protocol, trials, on, threads)

        times = common.in_turn({
            "threads": run(each * count, None), "one": run(each * count, None, 1),
            "single": run(each * count, single), "all": run(each * count, every),
            "share": run(each, single),
            "cold": run(each * count, Cluster(count, None, experiment.plan_at)),
        }, options.rounds)
    results |= {"network": options.network, "protocol": options.protocol, "workers": count,
                "trials": each * count, "seconds": times}
    for key, name in names.items():
        print(f"{name:32s} {statistics.median(times[key]):8.2f} s")
    print()
    for slow, fast, what in (
            ("one", "single", "1 worker, over this process with 1 thread"),
            ("threads", "all", f"{count} workers, over this process with all threads"),
            ("single", "all", f"{count} workers, over 1: strong scaling"),
            ("share", "all", f"{count} workers with {count} times the trials: weak scaling")):
        ratios = sorted(a / b for a, b in zip(times[slow], times[fast], strict=True))
        middle = statistics.median(ratios)
        print(f"{what:52s} {middle:5.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]")
        results[what] = [round(ratio, 3) for ratio in (middle, ratios[0], ratios[-1])]
    adds = [a - b for a, b in zip(times["cold"], times["all"], strict=True)]
    print(f"{'starting and ending workers adds':52s} {statistics.median(adds):5.2f} s")
    common.finish(options, results)


if __name__ == "__main__":
    parser = common.parser(__doc__, rounds=5)
    parser.add_argument("--network", default="digits-leaky", help="one that comes along")
    parser.add_argument("--protocol", default="backward_mask")
    parser.add_argument("--trials", type=int, default=1800, help="of each worker")
    parser.add_argument("--workers", type=int, default=2)
    main(parser.parse_args())
