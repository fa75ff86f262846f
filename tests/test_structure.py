"""The house: imports go down only, names are public on purpose, help answers at once."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cortexsim

PACKAGE = Path(cortexsim.__file__).parent

#: A part may import from any floor below, and on the lowest floor from its neighbours.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"cli_analysis", "cli_doctor", "cli_networks", "cli_protocol"},
    {"doctor"},
    {"experiment", "choices", "conversion"},
    {"ready"},
    {"analysis", "images", "simulation", "training"},
    {"models", "stimuli", "presets"},
    {"graph"},
    {"errors", "clock", "schema", "yamlio", "resources", "palette", "devices",
     "terminal", "options", "places", "files", "stores", "checksums", "machine", "formats",
     "metadata", "codecs", "provenance", "processes", "job"},
]
WITHOUT_TORCH = ["errors", "clock", "schema", "yamlio", "resources", "palette", "places",
                 "stores", "checksums", "machine", "formats", "metadata", "codecs", "provenance",
                 "processes", "job", "doctor", "graph", "presets",
                 "stimuli.protocol", "stimuli.lookup", "stimuli.protocol.draw",
                 "stimuli.protocol.json_schema", "stimuli.masks", "stimuli.movie",
                 "stimuli.sequences", "options",
                 "stimuli.datasets", "cli", "cli_analysis", "cli_doctor"]
# and all that reads recordings
WITHOUT_TORCH += sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.glob("analysis/**/*.py"))


def floor(part: str) -> int:
    return next(i for i, parts in enumerate(FLOORS) if part in parts)


def imported(path: Path) -> set[str]:
    """The parts of cortexsim that a file imports, also inside functions, not for types alone."""
    here = path.relative_to(PACKAGE).parts
    tree = ast.parse(path.read_text())
    skipped = {id(inner) for node in ast.walk(tree)
               if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
               for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or id(node) in skipped:
            continue
        if node.level:
            base = list(here[: len(here) - node.level])
            module = base + (node.module.split(".") if node.module else [])
            names = [module] if module else [[alias.name] for alias in node.names]
        elif (node.module or "").split(".")[0] == "cortexsim":
            names = [node.module.split(".")[1:] or ["__init__"]]
        else:
            continue
        found |= {name[0] for name in names}
    return found - {"__init__", "__version__"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_go_down_only(path):
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if part == "__init__":
        return
    for other in imported(path) - {part}:
        below = floor(other) > floor(part)
        assert below or {part, other} <= FLOORS[-1], f"{path.name} ({part}) imports {other}"


def test_simulation_and_training_never_import_each_other():
    for one, other in (("simulation", "training"), ("training", "simulation")):
        for path in (PACKAGE / one).glob("*.py"):
            assert other not in imported(path)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True, cwd=PACKAGE.parent).stdout


def test_parts_that_need_no_torch_do_not_import_it():
    imports = "; ".join(f"import cortexsim.{name}" for name in WITHOUT_TORCH)
    assert run(f"{imports}; import sys; print('torch' in sys.modules)").strip() == "False"


def test_a_wheel_leaves_out_nothing_that_is_here():
    # what hatchling builds a wheel of: files of these folders that .gitignore does not name
    root = PACKAGE.parent
    if not (root / ".git").exists():
        pytest.skip("needs a checkout")
    ignored = subprocess.run(
        ["git", "ls-files", "--cached", "--ignored", "--exclude-standard", "cortexsim", "data",
         "protocols"], cwd=root, capture_output=True, text=True, check=True)
    assert ignored.stdout == ""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["cortexsim"], "force-include": {
        name: f"cortexsim/{name}" for name in ("protocols", "data")}}


def test_help_imports_nothing_heavy():
    heavy = {"torch", "numpy", "xarray", "pandas", "matplotlib", "sklearn", "scipy", "pydantic",
             "zarr", "fsspec", "upath"}
    code = ("import runpy, sys\nsys.argv = ['cortexsim', '--help']\n"
            "try:\n    runpy.run_module('cortexsim', run_name='__main__')\n"
            f"except SystemExit as end:\n    print(end.code, sorted({heavy!r} & set(sys.modules)))")
    said = run(code).splitlines()
    assert said[0].startswith("Usage: cortexsim ") and said[-1] == "0 []"


def test_public_names():
    for name in cortexsim.__all__:
        assert getattr(cortexsim, name) is not None
    assert set(cortexsim.__all__) == set(dir(cortexsim)) | {"__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'netwrok'"):
        _ = cortexsim.netwrok
