"""Colours and plotting style: one area, one colour, in every figure.

The colours are those of Okabe and Ito and of Tol, chosen to stay apart under
the common colour vision deficiencies. Nothing here imports matplotlib, so that
graph drawing, figures and notebooks can all share it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: The colour of an area by name; the stages of the ventral stream first.
AREA_COLORS = {
    "V1": "#0072B2",
    "V2": "#009E73",
    "V4": "#E69F00",
    "IT": "#A50F15",
    "LGN": "#56B4E9",
    "V3": "#7A8A00",
    "MT": "#CC79A7",
    "PFC": "#332288",
}
#: For areas with other names, in their order in the graph.
SPARE_COLORS = (
    "#44AA99",
    "#882255",
    "#999933",
    "#6699CC",
    "#AA4499",
    "#117733",
    "#DDAA33",
    "#663333",
)
#: Text and axes; chance lines and other references; what was shown.
INK, FAINT = "#262626", "#8C8C8C"
TARGET, MASK, GREY = INK, "#BDBDBD", "#E8E8E8"

#: Overrides of seaborn's "ticks" style, as matplotlib rcParams.
STYLE: dict[str, Any] = {
    # what is in a name is never a formula
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.linewidth": 0.9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.fontsize": 9.0,
    "legend.title_fontsize": 9.0,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 6.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "cortexsim",
    "pdf.fonttype": 42,
}


def area_colors(names: Iterable[str]) -> dict[str, str]:
    """Choose a colour for each area.

    Parameters
    ----------
    names
        Area names in the order of their graph.

    Returns
    -------
    dict of str to str
        Hexadecimal colours. Well-known areas (V1, V2, V4, IT, LGN, ...) have
        the same colour in every figure; other names take spare colours in
        their order, and begin again after the last.
    """
    ordered = list(dict.fromkeys(names))
    others = [name for name in ordered if name not in AREA_COLORS]
    spare = {name: SPARE_COLORS[i % len(SPARE_COLORS)] for i, name in enumerate(others)}
    return {name: AREA_COLORS.get(name) or spare[name] for name in ordered}


def sequential(count: int) -> list[str]:
    """Return ``count`` colours from dark to light for ordered levels.

    Parameters
    ----------
    count
        Number of levels, at least 1.

    Returns
    -------
    list of str
        Hexadecimal colours of matplotlib's viridis, without its lightest end,
        which is hard to see on white. The first level is the darkest.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    scale = colormaps["viridis"]
    return [to_hex(scale(0.0 if count == 1 else 0.86 * i / (count - 1))) for i in range(count)]
