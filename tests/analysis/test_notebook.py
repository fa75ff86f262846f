"""The introduction runs, holds no output and no logic of its own."""

import json
import os
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "analysis" / "activation_timelines.ipynb"


@pytest.fixture
def code() -> list[str]:
    """The sources of the notebook's code cells."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_cells_run_on_a_recording(code, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "MPLBACKEND", "agg")
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.use("agg")
        names: dict[str, object] = {}
        for number, source in enumerate(code):
            exec(compile(source, f"cell {number}", "exec"), names)
            if number == 0:
                names["PATH"] = stored
        import matplotlib.pyplot as plt

        plt.close("all")
    assert names["table"].area.nunique() == 4  # type: ignore[attr-defined]
    assert "def " not in "\n".join(code) and "class " not in "\n".join(code)
    assert "cortexsim.analysis" in sys.modules
