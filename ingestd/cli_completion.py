"""`ingestd completion`: what a shell reads to complete commands, options and their values; and completions of our own.

The scripts are click's. On each TAB they run the program itself, so that what they offer is what it knows.
"""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
PROGRAMS: Final = ("ingestd", "loadgen")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.option(
    "--program",
    type=click.Choice(PROGRAMS),
    default=PROGRAMS[0],
    help="Of which program. [default: ingestd]",
)
def completion(shell: str, program: str) -> None:
    """Print a script by which SHELL completes commands, options and their values.

    \b
    bash:  eval "$(ingestd completion bash)"                     in ~/.bashrc
    zsh:   eval "$(ingestd completion zsh)"                      in ~/.zshrc, behind compinit
    fish:  ingestd completion fish > ~/.config/fish/completions/ingestd.fish
    """
    click.echo(script(shell, program))


def script(shell: str, program: str) -> str:
    """The script of one of `SHELLS` for one of `PROGRAMS`."""
    found = get_completion_class(shell)
    assert found is not None, shell
    made = found(click.Command(program), {}, program, f"_{program.upper()}_COMPLETE")
    # Without click's own look at the version of bash: this may run where the shell is not, to make a package.
    return made.source_template % made.source_vars()
