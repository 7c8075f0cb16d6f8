"""What an installation puts where man and shells look for it: manual pages and completions, in one run.

python -m ingestd.share /usr/local/share
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from ingestd import manual
from ingestd.cli_completion import PROGRAMS, SHELLS, script

#: Below share/, by shell.
_PLACES: Final = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}


def write(folder: Path) -> None:
    """Write all of it below `folder`."""
    manual.write(folder / "man")
    for shell in SHELLS:
        for program in PROGRAMS:
            path = folder / _PLACES[shell].format(program)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(script(shell, program), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("called as: python -m ingestd.share DIR")
    write(Path(sys.argv[1]))
