"""What every command shares: mistakes as one sentence, words and numbers in options."""

from __future__ import annotations

import errno
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Collection
from types import FrameType
from typing import Any

import click

from . import job
from .errors import CortexSimError, Interrupted, out_of_memory, printable

WRONG_INPUT = 2
#: Of a program that a signal stopped, by the shell's convention: this and the signal's number.
STOPPED = 128


def say(text: object, *, err: bool = False) -> None:
    """Print a line; what it quotes from a file is only shown, and commands no terminal."""
    click.echo(printable(str(text)), err=err)


class Program(click.Group):
    """Turns what the user can put right into one sentence and exit status 2.

    Attributes
    ----------
    stopped_by
        The signal that asked the program to stop; Ctrl-C's unless it was another.
    """

    stopped_by: int = signal.SIGINT

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program: SIGTERM stops it as Ctrl-C does, and a second signal at once."""
        if threading.current_thread() is not threading.main_thread():
            return self.main(*args, **kwargs)
        # nohup, for one, has some ignored
        heard = [number for number in (signal.SIGINT, signal.SIGTERM)
                 if signal.getsignal(number) is not signal.SIG_IGN]

        def die_of_another() -> None:
            for number in heard:
                signal.signal(number, signal.SIG_DFL)

        def stop(number: int, frame: FrameType | None) -> None:
            die_of_another()
            self.stopped_by = number
            raise KeyboardInterrupt

        for number in heard:
            signal.signal(number, stop)
        try:
            return self.main(*args, **kwargs)
        finally:
            die_of_another()  # all is done: nothing is left to stop in good order

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _note
                return super().invoke(ctx)
        except CortexSimError as problem:
            if not getattr(problem, "told", False):  # by another process of the job
                say(f"cortexsim: {problem}", err=True)
            ctx.exit(STOPPED + (problem.signal or self.stopped_by)
                     if isinstance(problem, Interrupted) else WRONG_INPUT)
        except click.UsageError as problem:
            about = problem.ctx or ctx
            more = f" (options: {about.command_path} --help)"
            if job.speaks():
                say(f"cortexsim: {problem.format_message().rstrip('.')}{more}", err=True)
            ctx.exit(WRONG_INPUT)
        except OSError as problem:
            if problem.errno == errno.EPIPE:
                raise  # whoever read our output has left, which click knows how to end
            # a file nobody may read, a name too long: the system says it well enough
            place = f"{problem.filename}: " if problem.filename else ""
            if not getattr(problem, "told", False):
                say(f"cortexsim: {place}{problem.strerror or problem}", err=True)
            ctx.exit(WRONG_INPUT)
        except (MemoryError, RuntimeError) as problem:
            if not _out_of_memory(problem):
                raise
            say("cortexsim: there is not enough memory; end other programs, or ask for less "
                       "(see --help). No file is left half-written", err=True)
            ctx.exit(WRONG_INPUT)
        except KeyboardInterrupt:
            say("cortexsim: stopped; no file is left half-written. To do it again, give the "
                       "same command", err=True)
            ctx.exit(STOPPED + self.stopped_by)

    def resolve_command(self, ctx: click.Context, args: list[str],
                        ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, and refuse one that torchrun cannot start."""
        name, command, rest = super().resolve_command(ctx, args)
        job.check_command(name)
        return name, command, rest


def _out_of_memory(problem: BaseException) -> bool:
    if out_of_memory(problem) or "torch" not in sys.modules:
        return out_of_memory(problem)
    from . import devices  # imports torch

    return devices.out_of_memory(problem)


class Whole(click.IntRange):
    """A whole number within limits; its messages and help call it an integer."""

    name = "integer"


def filled(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty text, as an unset shell variable leaves one."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty; leave the option out for its default")
    return value


def words(ctx: click.Context, parameter: click.Parameter, value: str | None,
          ) -> tuple[str, ...] | None:
    """Split an option's value at its commas."""
    return None if value is None else tuple(part.strip() for part in value.split(","))


def numbers(ctx: click.Context, parameter: click.Parameter, value: str | None,
            ) -> tuple[int, ...] | None:
    """Split an option's value at its commas, into whole numbers."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"expected whole numbers as in {parameter.metavar}, got '{value}'") from None


def auto(ctx: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """Read a whole number above 0, or ``auto``, which is None."""
    if value == "auto":
        return None
    if not value.isdigit() or int(value) < 1:
        raise click.BadParameter(f"expected auto or a whole number above 0, got '{value}'")
    return int(value)


def leave_out(ctx: click.Context, what: str, allowed: Collection[str],
              does: str = "--resume goes on with") -> None:
    """Refuse options beside ``--resume``, or another, that would change what it goes on with.

    Raises
    ------
    CortexSimError
        Naming those that were given.
    """
    given = [name for name in ctx.params if name not in ("resumed", *allowed)
             and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    if given:
        raise CortexSimError(f"{does} a {what}, as it was started: leave out "
                             f"{', '.join(map(_word, given))}")


def _word(name: str) -> str:
    return "PROTOCOL" if name == "protocol" else flag(name)


def flag(name: str) -> str:
    """Return the option that a parameter comes from."""
    return "--" + {"graph_name": "graph", "input_mode": "input"}.get(name, name).replace("_", "-")


def command(program: str = "cortexsim") -> str:
    """Return the command line that runs now, of a program or of what starts it."""
    return f"{program} {shlex.join(sys.argv[1:])}"


def _note(message: Warning | str, *about: Any, **more: Any) -> None:
    """Print a warning as a sentence, without the line of code it came from."""
    say(f"cortexsim: {message}", err=True)
