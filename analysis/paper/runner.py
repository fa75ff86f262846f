"""What all scripts of this folder share: options, trainings, the table, the figure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import claims
import click
import configurations
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortexsim.analysis import save
from cortexsim.analysis.seeds import COLORS, curves, sheet
from cortexsim.errors import CortexSimError
from cortexsim.training import sweep

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Experiment:
    """A figure: what it is called, what is trained for it, how it is drawn.

    Attributes
    ----------
    name
        Of its files, and of its claims.
    title
        Above the figure.
    trained
        Names of configurations.
    draw
        Draws the table on axes.
    panels
        How many axes that takes.
    """

    name: str
    title: str
    trained: Sequence[str]
    draw: Callable[[pd.DataFrame, list[Axes]], object]
    panels: int = 1

    def figure(self, table: pd.DataFrame, scale: str) -> Figure:
        """Draw a table beside what its seeds say of each claim."""
        verdicts = claims.CLAIMS[self.name](table)
        with sheet(f"{self.title} ({scale} scale)", verdicts, self.panels) as (figure, axes):
            self.draw(table, axes)
        return figure

    def write(self, table: pd.DataFrame, folder: Path, scale: str) -> None:
        """Write numbers and picture, and print what the seeds say of each claim."""
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / f"{self.name}.csv", index=False, float_format="%.6g")
        save(self.figure(table, scale), folder / f"{self.name}.png")
        for verdict in claims.CLAIMS[self.name](table):
            click.echo(verdict)

    def results(self, scale: str = "small") -> pd.DataFrame:
        """Read the table that lies beside the scripts."""
        return sweep.read(RESULTS / scale / f"{self.name}.csv")

    def shown(self, scale: str = "small") -> Figure:
        """Draw the table that lies beside the scripts."""
        return self.figure(self.results(scale), scale)


def main(experiments: Sequence[Experiment]) -> None:
    """Run the command line of some experiments: train what is not there yet, draw all."""
    @click.command(help=sys.modules["__main__"].__doc__)
    @click.option("--scale", type=click.Choice(configurations.SCALES), default="small",
                  show_default=True, help="The paper's own, for a GPU, or a small one.")
    @click.option("--seeds", type=click.IntRange(min=1), default=configurations.SEEDS,
                  show_default=True, help="How many, from 0 on.")
    @click.option("--root", type=click.Path(path_type=Path),
                  help="Folder of the trainings [runs/paper-SCALE].")
    @click.option("--data-root", type=click.Path(path_type=Path), help="Folder with CIFAR-10.")
    @click.option("--out", type=click.Path(path_type=Path),
                  help="Folder of tables and figures [results/SCALE beside the scripts].")
    @click.option("--draw-only", is_flag=True, help="Train nothing, draw what there is.")
    def command(scale: str, seeds: int, root: Path | None, data_root: Path | None,
                out: Path | None, draw_only: bool) -> None:
        built = configurations.build(scale)
        needed = {name for experiment in experiments for name in experiment.trained}
        chosen = [found for name, found in built.items() if name in needed]
        root = root or Path("runs") / f"paper-{scale}"
        if not draw_only:
            sweep.run(chosen, root, range(seeds), data_root=data_root,
                      command=" ".join(["python", *sys.argv]),
                      on_training=lambda name: sys.stderr.isatty() and click.echo(name, err=True))
        table = sweep.table(chosen, root, range(seeds))
        for experiment in experiments:
            own = table[table.configuration.isin(list(experiment.trained))]
            experiment.write(own, out or RESULTS / scale, scale)

    try:
        command()
    except CortexSimError as problem:
        sys.exit(f"error: {problem}")


def learning(ax: Axes, table: pd.DataFrame, names: Mapping[str, str], title: str, *,
             training: bool = True) -> None:
    """Draw configurations' errors by epoch: on held-out images, and dashed on training images."""
    rows = table[table.epoch.notna() & (table.split != "test")]
    shades = dict(zip(names, COLORS, strict=False))
    labels, colors = {}, {}
    for split, words in (("validation", ", held out"), ("train", ", training"))[:1 + training]:
        for name, label in names.items():
            labels[f"{name} {split}"] = label + words * training
            colors[f"{name} {split}"] = shades[name]
    curves(ax, rows.assign(curve=rows.configuration + " " + rows.split), "epoch", "error", "curve",
           labels=labels, colors=colors, dashed=[key for key in labels if key.endswith("train")])
    panel(ax, title)


def panel(ax: Axes, title: str, x: str = "Epoch", y: str = "Error (%)") -> None:
    """Name axes and panel."""
    ax.set_title(title)
    ax.set(xlabel=x, ylabel=y)
