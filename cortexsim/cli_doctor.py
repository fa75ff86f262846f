"""The command that looks at this installation and this machine: doctor."""

from __future__ import annotations

import click

from . import terminal


@click.command(short_help="Say what a bug report needs, and whether CortexSim computes right here.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Print versions, devices, memory, disk and data, and run a short self-test.

    The text is made to be pasted into a bug report: it names no person and no machine. What
    needs attention begins with an exclamation mark; the exit status is 1 if something is
    missing or wrong, 0 otherwise, even where there are warnings.
    """
    from .doctor import examine

    faults = warned = 0
    for section in examine():
        terminal.say(str(section))
        faults, warned = faults + len(section.faults), warned + len(section.warnings)
    if faults or warned:
        terminal.say(f"result: {faults} to put right, {warned} to know of (marked !)")
    else:
        terminal.say("result: everything is as it should be")
    ctx.exit(1 if faults else 0)
