"""A flash, and a mask at some time after it, or nothing."""

from __future__ import annotations

import pandas as pd
import runner
from claims import FLASHED, MASKED
from matplotlib.axes import Axes

from cortexsim.analysis.seeds import curves


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors over time without a mask, and at the end against the time of the mask."""
    flashed = table[table.condition == "no mask"]
    curves(axes[0], flashed, "time", "error", "configuration", labels=FLASHED)
    runner.panel(axes[0], "A flash of one step, no mask", "Readout time (steps)")
    masked = table[table.condition.str.startswith("mask at")]
    masked = masked.assign(soa=masked.condition.str.removeprefix("mask at ").astype(int))
    for ax, (read, last) in zip(axes[1:], MASKED, strict=True):
        rows = masked[(masked.time == read) & (masked.soa <= last)]
        curves(ax, rows, "soa", "error", "configuration", labels=FLASHED)
        runner.panel(ax, f"A mask, read at step {read}", "Mask from step")


EXPERIMENT = runner.Experiment("masking", "A flash and a mask, 3-state full network",
                               list(FLASHED), draw, panels=3)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
