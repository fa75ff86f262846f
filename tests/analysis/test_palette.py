"""Colours: fixed per area, distinct, and apart for colour-blind readers."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cortexsim import palette

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
BLIND = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                        [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                        [-0.011820, 0.042940, 0.968881]]),
}  # fmt: skip


def lab(color: str, sight: str) -> np.ndarray:
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(BLIND[sight] @ linear, 0, 1)
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(matrix) @ seen / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", BLIND)
def test_ventral_stream_stays_apart(sight: str) -> None:
    colors = [lab(palette.AREA_COLORS[name], sight) for name in ("V1", "V2", "V4", "IT")]
    distance = [np.linalg.norm(a - b) for i, a in enumerate(colors) for b in colors[:i]]
    assert min(distance) > 20


def test_the_same_area_has_the_same_colour() -> None:
    assert palette.area_colors(["V1", "IT"])["IT"] == palette.area_colors(["IT", "X"])["IT"]
    many = palette.area_colors([f"area-{i}" for i in range(8)] + ["V1"])
    assert len(set(many.values())) == 9
    assert list(palette.area_colors(["B", "A", "B"])) == ["B", "A"]


def test_sequential_runs_from_dark_to_light() -> None:
    lightness = [lab(color, "normal")[0] for color in palette.sequential(6)]
    assert lightness == sorted(lightness) and lightness[-1] < 88
    assert len(palette.sequential(1)) == 1
