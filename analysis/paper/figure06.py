"""Fig. 6: shared against per-step weights, errors by epoch."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

NETWORKS = {"1state": "1-state ResNet", "3resnet": "3-state ResNet", "2state": "2-state full"}
WEIGHTS = ("shared", "per-step")


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw one panel for each network."""
    for ax, (name, title) in zip(axes, NETWORKS.items(), strict=True):
        runner.learning(ax, table, {f"{name}-{which}": which for which in WEIGHTS}, title)


EXPERIMENT = runner.Experiment(
    "figure06", "Fig. 6: shared and per-step weights",
    [f"{name}-{which}" for name in NETWORKS for which in WEIGHTS]
    + ["3resnet-narrow"], draw, panels=3)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
