"""Commands about protocols: list, show, schema."""

from __future__ import annotations

from pathlib import Path

import click

from . import files, options, terminal
from .terminal import Whole


@click.group(short_help="List and show protocols.", invoke_without_command=True)
@click.pass_context
def protocol(ctx: click.Context) -> None:
    """List the protocols that come along, show one, or print what a file may hold."""
    if ctx.invoked_subcommand is None:
        terminal.say(ctx.get_help())


@protocol.command("list", short_help="List the protocols that come along.")
def list_all() -> None:
    """List the protocols that come along, each with what it does."""
    from . import resources
    from .stimuli.protocol import Protocol

    shipped = resources.protocols()
    margin = max(map(len, shipped)) + 2
    for name, path in shipped.items():
        terminal.say(f"{name:{margin}s}{Protocol.from_yaml(path).description or ''}".rstrip())


@protocol.command(short_help="Draw the timeline of every condition.")
@click.argument("name", metavar="PROTOCOL")
@click.option("--out", type=options.FOLDER,
              help="Draw it into this file too, with what the pictures look like: .svg, .png or "
                   ".pdf.")
@click.option("--seed", type=Whole(min=0), default=0,
              help="Of masks, noise and other images in the picture.")
@options.data_root
def show(name: str, out: Path | None, seed: int, data_root: Path | None) -> None:
    """Print the timeline of every condition, and draw it.

    PROTOCOL is a YAML file, or a name that 'cortexsim protocol list' lists. It is checked
    as before a run; whether the network has the areas and connections that it names is
    for 'cortexsim run --dry-run' to say.
    """
    from .errors import DatasetError
    from .stimuli import lookup

    found = lookup.find_protocol(name)
    if out is not None:
        from .stimuli.protocol import draw

        images, sources, without = None, None, ""
        try:
            images, sources = lookup.images_of(found, seed=seed, root=data_root)
        except DatasetError as problem:
            without = f" (without what is shown: {problem})"
        draw.draw(found, out, images=images, sources=sources, seed=seed,
                  command=terminal.command())
    terminal.say(found.describe())
    if out is not None:
        terminal.say(f"picture    {out}{without}")


@protocol.command(short_help="Print the JSON Schema of protocol files.")
@click.option("--out", type=options.FOLDER, help="Write it into this file.")
def schema(out: Path | None) -> None:
    """Print the JSON Schema of protocol files, with which an editor completes and checks them.

    For editors with the YAML language server, write it into a file and begin the
    protocol with the line that is then printed.
    """
    import json

    from .stimuli.protocol import json_schema

    text = json.dumps(json_schema.schema(), indent=2) + "\n"
    if out is None:
        terminal.say(text.rstrip("\n"))
        return
    files.write(out, text, "the schema")
    terminal.say(f"schema     {out}")
    terminal.say(f"in a file  # yaml-language-server: $schema={out}")
