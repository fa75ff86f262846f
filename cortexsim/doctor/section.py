"""One section of what doctor says."""

from __future__ import annotations

import getpass
import re
import textwrap
import traceback
from dataclasses import dataclass, field
from pathlib import Path

#: Columns of names, and of the whole text.
NAMES, WIDTH = 12, 100
#: Stands for a space at which no line ends.
_TIE = "\0"


@dataclass
class Section:
    """What is known of one thing.

    Attributes
    ----------
    title
        What it is about.
    rows
        Pairs of a name and what there is to say, in order.
    faults
        What has to be put right: something needed is missing, or wrong.
    warnings
        What will hurt, but works.
    """

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def say(self, name: str, *text: str) -> None:
        """Add a row; of several texts each stays on one line."""
        self.rows.append((name, text[0] if len(text) == 1 else
                          "   ".join(one.replace(" ", _TIE) for one in text)))

    def failed(self, problem: BaseException) -> None:
        """Say that, and where, something broke, in one line and without a traceback."""
        frames = [frame for frame in traceback.extract_tb(problem.__traceback__)]
        at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        reason = " ".join(str(problem).split()) or "no reason given"
        self.faults.append(f"{self.title}: {type(problem).__name__}{at}: {reason[:300]}")

    def __str__(self) -> str:
        """Return the section as lines; what needs attention begins with an exclamation mark."""
        lines = [self.title]
        for name, text in self.rows:
            lines += textwrap.wrap(text, WIDTH, initial_indent=f"  {name:{NAMES}}",
                                   subsequent_indent=" " * (NAMES + 2), break_long_words=False,
                                   break_on_hyphens=False)
        for text in (*self.faults, *self.warnings):
            lines += textwrap.wrap(text, WIDTH, initial_indent="! ", subsequent_indent="  ",
                                   break_long_words=False, break_on_hyphens=False)
        return private("\n".join(lines).replace(_TIE, " "))


def private(text: str) -> str:
    """Take a person's home folder and name out of a text that may be pasted in public."""
    try:
        home, user = str(Path.home()), getpass.getuser()
    except (OSError, KeyError, RuntimeError):
        return text  # a system that does not know who this is cannot tell on them
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?=[/\\\s;:,)]|$)", "~", text)
    # elsewhere a folder of their own, such as /scratch/NAME
    return re.sub(rf"(?<=[/\\]){re.escape(user)}(?=[/\\\s;:,)]|$)", "<user>", text, flags=re.M)


def size(count: int | None) -> str:
    """Return bytes as people say them."""
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
