"""Fig. 9: full against adjacent connections, with three and four states."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

KINDS = ("full", "adjacent")


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw one panel for each number of states."""
    for ax, count in zip(axes, (3, 4), strict=True):
        runner.learning(ax, table, {f"{count}state-{kind}": kind for kind in KINDS},
                        f"{count} states")


EXPERIMENT = runner.Experiment(
    "figure09", "Fig. 9: full and adjacent connections",
    [f"{count}state-{kind}" for count in (3, 4) for kind in KINDS], draw, panels=2)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
