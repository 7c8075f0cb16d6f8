"""The options that several commands of `ingestd` share."""

from pathlib import Path

import click

config_option = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="TOML file. Without it: conf/ingestd.toml, else /etc/ingestd/ingestd.toml, else the defaults.",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Set one key over the file. May be given again.",
)
