"""Where the files that come along are: protocols, reference data, trained networks.

In a checkout they lie at its top level; in an installed wheel inside the
package (``pyproject.toml`` maps them). This module is the only one that knows.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder ``"protocols"`` or ``"data"`` of this installation.

    Raises
    ------
    FileNotFoundError
        If the installation is damaged.
    """
    for place in (_PACKAGE / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"this installation of CortexSim has no folder '{name}'")


def protocols() -> dict[str, Path]:
    """Return the name and file of every protocol that comes along."""
    return {path.stem: path for path in sorted(folder("protocols").glob("*.yaml"))}


def networks() -> dict[str, Path]:
    """Return the name and folder of every trained network that comes along."""
    cards = sorted((folder("data") / "networks").glob("*/network.json"))
    return {card.parent.name: card.parent for card in cards}
