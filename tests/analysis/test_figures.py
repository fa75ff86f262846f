"""Figures: what they show, and that they need no display and leave no state."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from cortexsim import analysis, palette
from cortexsim.analysis import figures
from cortexsim.analysis import recording as rec
from cortexsim.errors import RecordingError


def titles(figure: Figure) -> list[str]:
    return [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]


@pytest.fixture(scope="module")
def drawn(masking) -> Figure:
    return analysis.figure(masking)


def test_masking_figure(drawn: Figure, tmp_path: Path) -> None:
    assert titles(drawn) == [
        "SOA 150 ms, no mask",
        "SOA 150 ms, phase-scrambled mask",
        "Accuracy over readout time, phase-scrambled mask",
        "Accuracy at 175 ms",
    ]
    path = analysis.save(drawn, tmp_path / "new" / "figure.png")
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) > 20_000
    assert b"backward_mask" in data and b"digits-leaky" in data


def test_every_axis_of_time_says_ms(drawn: Figure) -> None:
    for ax in drawn.axes:
        labels = [ax.get_xlabel(), *(child.get_xlabel() for child in ax.child_axes)]
        assert any(label.endswith("(ms)") for label in labels)


def test_flashed_and_sustained_figures(flashed, sustained, tmp_path: Path) -> None:
    assert titles(analysis.figure(flashed)) == [
        "Shown for 375 ms", "Shown for 12.5 ms", "Accuracy over readout time",
        "Accuracy at 250 ms",
    ]  # fmt: skip
    figure = analysis.figure(sustained)
    assert titles(figure) == ["Activity of each area", "Accuracy over readout time"]
    text = analysis.save(figure, tmp_path / "figure.svg").read_text()
    assert "readout_time" in text and "<dc:title>" in text
    again = analysis.save(figure, tmp_path / "again.svg")
    assert again.read_text() == text


def test_one_trial_no_areas_and_words_only(make, tmp_path: Path) -> None:
    single = make("", stimuli=1)
    bare = make(stimuli=2, areas=())
    wordy = make(stimuli=3)
    table = rec.trials(wordy)
    wordy = wordy.isel(trial=np.flatnonzero(table["soa_ms"] == 50))
    wordy = wordy.map_over_datasets(lambda data: data.drop_vars("soa_ms"))
    wordy.attrs["protocol"] = ""
    for tree, count in ((single, 2), (bare, 2), (wordy, 4)):
        figure = analysis.figure(tree)
        assert len(figure.axes) == count
        analysis.save(figure, tmp_path / "figure.svg")


def test_one_time_is_drawn_as_a_point(make) -> None:
    tree = make("", stimuli=3).isel(time=[20])
    figure = analysis.figure(tree)
    assert all(line.get_marker() == "o" for line in figure.axes[0].lines[:4])


def test_timelines_are_normalised_or_raw(masking) -> None:
    data = analysis.timelines(masking)
    for normalize, top in ((True, 1.0), (False, data[data.area == "V1"].rms.max())):
        ax = figures.activation_timelines(Figure().subplots(), data, normalize=normalize)
        line = ax.lines[0]
        assert np.nanmax(line.get_ydata()) == pytest.approx(top)
        assert [x.get_color() for x in ax.lines] == [palette.AREA_COLORS[x.get_label()]
                                                     for x in ax.lines]
        assert len(ax.collections) == 4  # an interval each


def test_onset_ticks_stand_at_the_onsets(masking) -> None:
    onsets = analysis.response(masking, resamples=50)
    onsets.loc[(onsets.area == "IT") & (onsets.measure == "onset"), "ms"] = np.nan
    ax = figures.activation_timelines(
        Figure().subplots(), analysis.timelines(masking), onsets=onsets
    )
    ticks = [line.get_xdata()[0] for line in ax.lines[4:][::2]]
    assert ticks == onsets[onsets.measure == "onset"].ms.tolist()[:3]


def test_intervals_are_wilsons(masking) -> None:
    data = analysis.accuracy(masking, by=["soa_ms", "mask"])
    ax = figures.accuracy_against_factor(
        Figure().subplots(), data, "soa_ms", split="mask", chance=0.1
    )
    spans = [s[:, 1] for c in ax.containers for s in c[2][0].get_segments()]
    expected = data.sort_values(["mask", "soa_ms"])[["low", "high"]]
    assert np.allclose(spans, expected)


def test_a_flash_too_short_for_its_name_is_named_beside(masking) -> None:
    shown = rec.presentations(masking, {"soa_ms": 25.0, "mask": "none"})
    ax = figures.activation_timelines(
        Figure().subplots(), analysis.timelines(masking), presentations=shown
    )
    assert [text.get_text() for text in ax.child_axes[0].texts] == ["target"]


@pytest.fixture(scope="module")
def of_designs(designs) -> Callable[[str], Figure]:
    """Return the figure of a design, drawn once."""
    return cache(lambda name: analysis.figure(designs[name]))


LATE = "feedback lesion from 75 ms"


@pytest.mark.parametrize(("name", "expected"), [
    ("four", ["SOA 100 ms, hidden 0, no mask", "SOA 100 ms, hidden 0, pattern mask",
              "Accuracy over readout time, hidden 0,\npattern mask",
              "Accuracy over readout time, hidden 0.8,\npattern mask",
              *(f"Accuracy at 175 ms,\nhidden {hidden}" for hidden in (0, 0.3, 0.6, 0.8))]),
    ("done", ["Gain 1", "Gain 2", "Accuracy over readout time", "Accuracy at 175 ms"]),
    ("tang", ["Hidden 0, SOA 150 ms, no mask (grey)", "Hidden 0, SOA 150 ms, phase-scrambled mask",
              "Accuracy over readout time, hidden 0,\nphase-scrambled mask",
              "Accuracy over readout time, hidden 0.8,\nphase-scrambled mask",
              "Accuracy at 175 ms, hidden 0", "Accuracy at 175 ms, hidden 0.8"]),
    ("kumbhar", ["No noise, no blur", "Blur SD 3", "Accuracy over readout time",
                 "Accuracy at 175 ms"]),
    ("hupe", ["Contrast 1, no lesion", f"Contrast 1, {LATE}",
              f"Accuracy over readout time,\n{LATE}", "Accuracy at 175 ms"]),
    ("keysers", ["Each picture 100 ms", "Each picture 12.5 ms", "Accuracy over readout time",
                 "Accuracy at 175 ms"]),
    ("lamme", ["SOA 100 ms, no mask", "SOA 100 ms, pattern mask",
               "Accuracy over readout time, pattern mask", "Accuracy at 175 ms"]),
    ("contrast", ["Contrast 1", "Contrast 0.05", "Accuracy over readout time",
                  "Accuracy at 175 ms"]),
    ("many", ["SOA 100 ms, no mask, noise 0, contrast 1",
              "SOA 100 ms, phase-scrambled mask, noise 0,\ncontrast 1",
              "Accuracy over readout time, noise 0 (first of 5),\n"
              "contrast 1, phase-scrambled mask",
              "Accuracy over readout time,\nnoise 0.4 (last of 5), contrast 1,\n"
              "phase-scrambled mask",
              "Accuracy at 175 ms, noise 0 (first of 5),\ncontrast 1",
              "Accuracy at 175 ms, noise 0.4 (last of 5),\ncontrast 1"]),
])
def test_every_design_has_its_panels_and_no_text_hides_another(of_designs, name, expected) -> None:
    figure = of_designs(name)
    assert titles(figure) == expected
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = {}
    for text in figure.findobj(Text):
        box = text.get_window_extent(canvas.get_renderer())
        # ticks outside the axes are there too, and not drawn
        inside = text.axes is None or text not in [
            label for axis in (text.axes.xaxis, text.axes.yaxis)
            for tick in axis.get_major_ticks() + axis.get_minor_ticks()
            for label in (tick.label1, tick.label2)
            if not axis.get_view_interval()[0] <= tick.get_loc() <= axis.get_view_interval()[1]]
        if text.get_text().strip() and text.get_visible() and inside:
            boxes[text] = box
    whole = figure.bbox
    for text, box in boxes.items():
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1, f"{text.get_text()} is cut off"
        assert whole.y0 <= box.y0 and box.y1 <= whole.y1, f"{text.get_text()} is cut off"
    for (one, first), (other, second) in combinations(boxes.items(), 2):
        # descenders may touch the line below
        both = Bbox.intersection(first, second)
        assert both is None or min(both.width, both.height) < 2, (one, other)


def test_trials_without_a_picture_are_dashed_and_lesions_hatched(of_designs) -> None:
    for name in ("lamme", "contrast"):
        ax = of_designs(name).axes[0]
        assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "no picture"
        assert sum(line.get_linestyle() == "--" for line in ax.lines) == 4
    left, right = of_designs("hupe").axes[:2]
    hatched = [[bar for bar in ax.child_axes[0].patches if bar.get_hatch()] for ax in (left, right)]
    assert not hatched[0] and len(hatched[1]) == 1
    window, = hatched[1]
    assert (window.get_x(), window.get_width()) == (75, 125)
    assert "feedback off" in [text.get_text() for text in right.child_axes[0].texts]


def test_a_stream_is_striped_and_named_once(of_designs) -> None:
    slow, fast = (ax.child_axes[0] for ax in of_designs("keysers").axes[:2])
    assert [text.get_text() for text in slow.texts] == ["target", "other-1", "other-2"]
    assert [text.get_text() for text in fast.texts] == ["other images"]
    # what has no room for its name is told below
    assert "black: target" in fast.get_xlabel() and "black" not in slow.get_xlabel()
    assert len(fast.patches) == 24


def test_numbers_set_curves_apart_by_colour(make) -> None:
    text = ("name: numbers\nms_per_step: 12.5\nduration_ms: 375\n"
            "factors: {soa_ms: [25, 50], contrast: [0.5, 0.7, 1]}\n"
            "timeline: [{show: target, at_ms: 0, for_ms: $soa_ms, "
            "change: {contrast: $contrast}}]\nsummary: {readout_ms: 175, by: soa_ms}\n")
    ax = analysis.figure(make(text, stimuli=3)).axes[-1]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["contrast 0.5", "contrast 0.7", "contrast 1"]
    colors = [container.lines[0].get_color() for container in ax.containers]
    assert colors == palette.sequential(3)


def test_save_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="unknown figure format '.jpg'"):
        analysis.save(Figure(), tmp_path / "figure.jpg")
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="the figure cannot be written"):
        analysis.save(Figure(), tmp_path / "file" / "figure.png")


def test_light_import_no_torch_and_pyplot_left_alone(make, write, tmp_path: Path) -> None:
    stored = write(make("", stimuli=1), tmp_path / "run.zarr")
    code = (
        "import sys, cortexsim.analysis as analysis, cortexsim.palette\n"
        "assert not {'xarray', 'pandas', 'matplotlib', 'torch'} & set(sys.modules)\n"
        f"recording = analysis.open({str(stored)!r})\n"
        "figure, tables = analysis.figure(recording), analysis.tables(recording)\n"
        f"analysis.save(figure, {str(tmp_path / 'f.pdf')!r})\n"
        "assert 'torch' not in sys.modules\n"
        "import matplotlib, matplotlib.pyplot as plt\n"
        "assert not plt.get_fignums() and matplotlib.rcParams['font.size'] == 10.0\n"
        "assert matplotlib.rcParams['xtick.labelsize'] == 'medium'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
