"""A flash, and a mask at some time after it, or nothing."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

from cortexsim.analysis.seeds import curves

NETWORKS = {"3state-sustained": "gain 1, as in the paper", "3state-leaky": "gain 0.5, leaky"}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors over time without a mask, and at the end against the time of the mask."""
    flashed = table[table.condition == "no mask"]
    curves(axes[0], flashed, "time", "error", "configuration", labels=NETWORKS)
    runner.panel(axes[0], "A flash of one step, no mask", "Readout time (steps)")
    masked = table[table.condition.str.startswith("mask at") & (table.time == 5)]
    masked = masked.assign(soa=masked.condition.str.removeprefix("mask at ").astype(int))
    curves(axes[1], masked, "soa", "error", "configuration", labels=NETWORKS)
    runner.panel(axes[1], "Read at step 5", "Mask from step")


EXPERIMENT = runner.Experiment("masking", "A flash and a mask, 3-state full network",
                               list(NETWORKS), draw, panels=2)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
