"""Commands about recordings: compare, report, export."""

from __future__ import annotations

from pathlib import Path

import click

from . import options, terminal
from .terminal import Whole

# the names of analysis.export.FORMATS, which --help has no time to import
FORMATS = ("brainscore", "rsatoolbox", "csv", "netcdf")


@click.command(short_help="Set a run beside real cortex and real people.")
@click.argument("run", type=options.PLACE, metavar="RUN")
@click.option("--latencies", callback=terminal.filled, metavar="NAME|FILE",
              help="Onsets of areas beside measured latencies: schmolesky1998, thorpe2001, or a "
                   "CSV file with the columns area, mean_ms, sd_ms and n.")
@click.option("--masking", callback=terminal.filled, metavar="NAME|FILE",
              help="Accuracy over SOA beside people's: tang2018_masking, or a CSV file like it.")
@click.option("--speed-accuracy", callback=terminal.filled, metavar="NAME|FILE",
              help="Accuracy over readout time beside people's at deadlines: "
                   "kumbhar2021_speed_accuracy, or a CSV file like it.")
@click.option("--it", callback=terminal.filled, metavar="FOLDER",
              help="Representations beside those of monkey and human IT, of a run with the 92 "
                   "objects: the folder with the published files (Kriegeskorte et al. 2008).")
@click.option("--condition", callback=terminal.filled, metavar="NAME",
              help="The condition that latencies and representations are of [the plainest].")
@click.option("--seed", type=Whole(min=0), default=0, help="Of bootstraps.")
@click.option("--out", type=options.PLACE,
              help="A folder for figures, tables and text [the run's own]; those of an earlier "
                   "comparison are replaced.")
def compare(run: Path, condition: str | None, seed: int, out: Path | None,
            **references: str | None) -> None:
    """Set RUN beside measurements of cortex or of people, and say how far they agree.

    RUN is the folder of a run, or a recording. Each comparison prints its result and
    writes a figure and tables.
    """
    from . import analysis

    asked = {kind: source for kind, source in references.items() if source}
    if not asked:
        flags = [terminal.flag(name) for name in references]
        raise click.UsageError(f"compare with what? give {', '.join(flags[:-1])} or {flags[-1]}")
    if condition and not {"latencies", "it"} & set(asked):
        raise click.UsageError("--condition is for --latencies and --it: people's curves are "
                               "compared over all conditions")
    with analysis.open(run) as recording:
        for kind, source in asked.items():
            of = {"condition": condition} if kind in ("latencies", "it") and condition else {}
            found = analysis.compare(recording, kind, source, seed=seed, **of)
            folder = out or analysis.recording.place(run).parent
            written = found.write(folder, terminal.command())
            terminal.say(f"{found}\n")
            terminal.say(f"figure     {written[0]}\n")


@click.command(short_help="Make one page with all that a run shows.")
@click.argument("run", type=options.PLACE, metavar="RUN")
@click.option("--out", type=options.PLACE,
              help="The page [report.html in the run's folder]; a report that is there already is "
                   "made anew, any other file is left alone.")
@click.option("--seed", type=Whole(min=0), default=0,
              help="Of the choice of stimuli where not all are used.")
@click.option("--it", type=options.FOLDER,
              help="Of a run with the 92 objects: the folder with the published RDMs of monkey and "
                   "human IT (Kriegeskorte et al. 2008), to compare with.")
@options.data_root
def report(run: Path, out: Path | None, seed: int, it: Path | None,
           data_root: Path | None) -> None:
    """Make one page of HTML with all that RUN shows; it opens offline.

    RUN is the folder of a run, or a recording. The page has what was shown when, figures,
    tables to download, an explorer of activity, and how the recording was made. Images
    are shown where their data set is at hand; nothing is downloaded.
    """
    from .analysis import report as reports

    path = reports.write(run, out, root=data_root, it=it, seed=seed, progress=True,
                         command=terminal.command())
    terminal.say(f"report     {path}")


def _window(ctx: click.Context, parameter: click.Parameter, value: str | None,
            ) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        first, last = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"expected two times as in 50,250, got '{value}'") from None
    if not first <= last:
        raise click.BadParameter(f"the window ends before it begins, got '{value}'")
    return first, last


@click.command(short_help="Write a recording for Brain-Score, rsatoolbox, CSV or netCDF.")
@click.argument("run", type=options.PLACE)
@click.option("--to", required=True, type=click.Choice(FORMATS),
              help="brainscore: one netCDF file, a NeuroidAssembly; rsatoolbox: one HDF5 file, a "
                   "TemporalDataset; csv: a folder of tables; netcdf: one file with a group for "
                   "each area.")
@click.option("--out", type=options.PLACE,
              help="A new file, or folder for csv [in the run's folder: brainscore.nc, "
                   "rsatoolbox.h5, csv or recording.nc].")
@click.option("--areas", callback=terminal.words, metavar="V1,IT",
              help="Areas to export [all that are recorded].")
@click.option("--condition", callback=terminal.filled, default="all", metavar="NAME|all",
              help="The condition to export.")
@click.option("--time", "window_ms", callback=_window, metavar="FIRST,LAST",
              help="First and last time in ms after image onset, both included [all].")
@click.option("--stimuli", type=Whole(min=1),
              help="The most stimuli, the same ones in every condition [all].")
@click.option("--seed", type=Whole(min=0), default=0, help="Of the choice of stimuli.")
@click.option("--pool", is_flag=True, help="Average maps over space; not for netcdf.")
@click.option("--units", is_flag=True,
              help="Write the activity of each unit too, in a table with millions of rows; for "
                   "csv alone.")
@click.option("--gzip", is_flag=True, help="Compress the tables; for csv alone.")
def export(run: Path, to: str, out: Path | None, areas: tuple[str, ...] | None, condition: str,
           window_ms: tuple[float, float] | None, stimuli: int | None, seed: int, pool: bool,
           units: bool, gzip: bool) -> None:
    """Write a recording, or a part of it, for another program.

    RUN is the folder of a run, or of its recording. Nothing is overwritten, and nothing is
    left of an export that could not be finished.
    """
    from .analysis import export as exporting

    written = exporting.export(run, to, out, areas=areas, condition=condition,
                               window_ms=window_ms, stimuli=stimuli, seed=seed, pool=pool,
                               units=units, gzip=gzip, command=terminal.command())
    terminal.say(f"{to:10s} {written}")
