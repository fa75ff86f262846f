"""The picture of a protocol: every bar where it belongs, and readable colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from cortexsim import palette, resources
from cortexsim.errors import ProtocolError, RecordingError
from cortexsim.stimuli import datasets
from cortexsim.stimuli.protocol import Protocol, draw

PROTOCOL = Protocol.from_text("""
name: demo
description: Something to draw.
ms_per_step: 12.5
arrival_ms: 40
duration_ms: 250
factors: {soa_ms: [25, 50], cut: [none, feedback]}
blank: true
timeline:
  - {show: target, at_ms: 0, for_ms: $soa_ms, change: {contrast: 0.5}}
  - {show: phase_scrambled, of: other_1, after_ms: 25, until: end}
interventions:
  - {lesion: $cut, from_ms: 100, until_ms: 150}
  - {noise: V1, sd: 0.2}
summary: {readout_ms: 190, evidence_ms: [90, 290], by: soa_ms}
""")
DIGITS = datasets.load("digits-clean").take(range(20))


def bars(figure: Figure, colour: str) -> list[tuple[float, float]]:
    """Return from when to when bars of a colour are, in ms."""
    from matplotlib.colors import to_hex

    axes = figure.axes[1]
    found = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches
             if hasattr(bar, "get_x") and to_hex(bar.get_facecolor()) == colour.lower()
             and bar.get_height() == pytest.approx(0.2)]
    return [(float(a), float(b)) for a, b in found]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def test_bars_are_where_the_pictures_are() -> None:
    figure = draw.draw(PROTOCOL, images=DIGITS)
    # on the recording's axis, which the arrival shifts
    assert bars(figure, palette.TARGET) == [(40, 65)] * 2 + [(40, 90)] * 2
    assert bars(figure, palette.SPARE_COLORS[0]) == [(90, 290)] * 2 + [(115, 290)] * 2
    assert bars(figure, palette.GREY) == [(40, 290)]
    hatched = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in figure.axes[1].patches
               if hasattr(bar, "get_x") and bar.get_hatch()]
    assert hatched.count((140, 190)) == 2 and hatched.count((40, 290)) == 4
    said = words(figure)
    assert said.count("lesion feedback") == 2 and said.count("noise V1, sd 0.2") == 4
    assert {"demo", "Something to draw.", "soa_ms", "cut", "25", "50", "blank",
            "readout 190 ms", "evidence 90\u2013290 ms"} <= {*said}
    # a level is written where it is another than above
    assert (said.count("25"), said.count("feedback")) == (1, 2)


def test_every_picture_is_shown_as_it_looks() -> None:
    figure = draw.draw(PROTOCOL, images=DIGITS)
    frames = figure.axes[2:]
    assert len(frames) == len(PROTOCOL.pictures) == 3
    target = np.asarray(frames[0].images[0].get_array())
    np.testing.assert_allclose(target, 0.25 + DIGITS.images[0, 0] / 510, atol=1e-6)
    assert {"target", "contrast 0.5", "phase_scrambled of", "other_1", "grey"} <= {*words(figure)}
    # without images, patches of the same colours
    bare = draw.draw(PROTOCOL)
    assert not any(axes.images for axes in bare.axes)
    assert [axes.spines["left"].get_edgecolor() for axes in bare.axes[2:]] == [
        axes.spines["left"].get_edgecolor() for axes in frames]


def test_nothing_lies_outside_the_sheet() -> None:
    figure = draw.draw(PROTOCOL, images=DIGITS)
    figure.canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height


@pytest.mark.parametrize("name", resources.protocols())
def test_every_protocol_that_comes_along_can_be_drawn(name: str) -> None:
    protocol = Protocol.from_yaml(resources.protocols()[name])
    figure = draw.draw(protocol)
    assert len(figure.axes) >= 3 and protocol.name in words(figure)


def test_many_conditions_and_pictures_are_cut_and_said() -> None:
    text = ("name: x\nms_per_step: 10\nduration_ms: 3000\nfactors: {{c: [{}]}}\n"
            "timeline: [{{show: stream, images: 6, target: 1, at: {{steps: $c}}, each_ms: 20}}]\n")
    figure = draw.draw(Protocol.from_text(text.format(", ".join(map(str, range(100))))))
    assert "not drawn: 40 more conditions and 2 more pictures" in words(figure)
    assert "59" in words(figure) and "60" not in words(figure)
    assert len(figure.axes) == 2 + 4  # target and three others
    many = Protocol.from_text(text.format(", ".join(map(str, range(250)))))
    lines = many.describe().splitlines()
    assert sum(line.startswith("c=") for line in lines) == 200
    assert "... and 50 more conditions" in lines


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_the_same_protocol_is_the_same_file(tmp_path: Path, ending: str) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for file in files:
        draw.draw(PROTOCOL, file, images=DIGITS)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="a picture ends in one of .svg, .png, .pdf"):
        draw.draw(PROTOCOL, tmp_path / "x.gif")
    with pytest.raises(ProtocolError, match="shows 1 images besides the target"):
        draw.draw(PROTOCOL, tmp_path / "x.png", images=DIGITS.take([0]))
    (tmp_path / "taken").write_text("")
    with pytest.raises(RecordingError, match="cannot be written"):
        draw.draw(PROTOCOL, tmp_path / "taken" / "x.png")
    assert {path.name for path in tmp_path.iterdir()} == {"taken"}


def test_names_can_be_read_on_their_bars() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for colour in [palette.TARGET, palette.GREY, *palette.SPARE_COLORS, *draw._TURNS]:
        ink = draw._ink(colour).replace("white", "#FFFFFF")
        low, high = sorted((light(colour), light(ink)))
        assert (high + 0.05) / (low + 0.05) >= 2.5, colour
