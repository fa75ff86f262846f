"""Fig. 13: onset against sustained input, with one state and with three."""

from __future__ import annotations

import pandas as pd
import runner
from matplotlib.axes import Axes

PAIRS = {"1 state": {"1state-shared": "onset", "1state-sustained": "sustained"},
         "3 states": {"3state-onset": "onset", "3state-sustained": "sustained"}}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw one panel for each number of states."""
    for ax, (title, names) in zip(axes, PAIRS.items(), strict=True):
        runner.learning(ax, table, names, title)


EXPERIMENT = runner.Experiment("figure13", "Fig. 13: onset and sustained input",
                               [name for names in PAIRS.values() for name in names], draw,
                               panels=2)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
