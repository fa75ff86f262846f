"""CortexSim itself, Python, the system, and the packages that CortexSim needs."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from .section import Section

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_PACKAGE = Path(__file__).resolve().parents[1]
_NAME = "cortexsim"
#: What runs may need besides; the other extras are for who works on CortexSim.
_EXTRAS = ("cluster", "cloud")
#: Variables that change what CortexSim does, or how fast.
_VARIABLES = ("CORTEXSIM_DATA", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
              "OPENBLAS_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY",
              "CUBLAS_WORKSPACE_CONFIG", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF",
              "PYTHONPATH", "MPLBACKEND", "TMPDIR")


def installation(section: Section) -> None:
    """Say which CortexSim this is and what it runs on."""
    root = _PACKAGE.parent
    place = "a checkout" if (root / "pyproject.toml").is_file() else "installed"
    section.say("version", f"{__version__}, {place}{_commit(root)}, {_PACKAGE}")
    section.say("Python", f"{platform.python_version()} ({platform.python_implementation()}), "
                          f"{sys.prefix}")
    libc = " ".join(filter(None, platform.libc_ver()))
    section.say("system", f"{platform.system()} {platform.release()} {platform.machine()}"
                          + (f", {libc}" if libc else ""))
    given = [f"{name}={os.environ[name]}" for name in _VARIABLES if os.environ.get(name)]
    section.say("variables", " ".join(given) or "none that matter")
    try:
        installed = metadata.version(_NAME)
    except metadata.PackageNotFoundError:
        return
    if installed != __version__:
        section.warnings.append(
            f"CortexSim {installed} is installed too, and is not the one that runs: leave its "
            "folder, or install this one")


def packages(section: Section) -> None:
    """Compare the packages that are there with those that CortexSim needs."""
    from packaging.requirements import Requirement

    stated = [Requirement(one) for one in requirements()]
    needed = [one for one in stated if one.marker is None or one.marker.evaluate({"extra": ""})]
    section.say("needed", *map(_said, needed))
    wrong = [one for one in needed if not _fits(one)]
    for extra in _EXTRAS:
        found = [one for one in stated if one not in needed and one.name != _NAME
                 and one.marker is not None and one.marker.evaluate({"extra": extra})]
        there = [one for one in found if _version(one.name)]
        missing = [one.name for one in found if one not in there]
        section.say(extra, *map(_said, there),
                    *([f"{', '.join(missing)} not installed"] if missing else []))
        wrong += [one for one in there if not _fits(one)]
    if wrong:
        install = " ".join(f"'{one.name}{one.specifier}'" for one in wrong)
        section.faults.append(f"missing, or of a version that does not do: pip install {install}")


def requirements() -> list[str]:
    """Return what CortexSim's metadata, or, in a checkout, pyproject.toml, says it needs."""
    file = _PACKAGE.parent / "pyproject.toml"
    if not file.is_file():
        return metadata.requires(_NAME) or []
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = (f"{one}; extra == '{extra}'" for extra, listed in
              project["optional-dependencies"].items() for one in listed)
    return [*project["dependencies"], *extras]


def _fits(requirement: Requirement) -> bool:
    found = _version(requirement.name)
    return found is not None and requirement.specifier.contains(found, prereleases=True)


def _said(requirement: Requirement) -> str:
    """Return a package's name, its version, and what is needed if that is another."""
    found = _version(requirement.name)
    if found is None:
        return f"{requirement.name} MISSING"
    needed = "" if _fits(requirement) else f" (needed: {requirement.specifier})"
    return f"{requirement.name} {found}{needed}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit(root: Path) -> str:
    """Return the commit of a checkout, and whether files differ from it."""
    if not (root / ".git").exists():
        return ""
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty=, changed"], cwd=root,
                               capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f" ({found.stdout.strip()})" if found.returncode == 0 else ""
