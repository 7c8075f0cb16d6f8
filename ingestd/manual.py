r"""The manual pages, made from what `--help` says: one per command in section 1, and ingestd.toml(5) from the keys.

    python -m ingestd.manual DIR        writes DIR/man1/ingestd.1, DIR/man1/ingestd-tail.1, …, DIR/man5/ingestd.toml.5

The language is man(7) as groff and mandoc both read it, in ASCII: what lies beyond is written as `\[u2026]`.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import click

from ingestd import __version__
from ingestd.config import DEFAULT_PATHS, describe
from ingestd.config_decode import Key

PROGRAMS: Final = ("ingestd", "loadgen")

#: What no command says by itself: the last sections of ingestd(1).
_FILES: Final = {
    **{
        str(path): "The configuration, where -c names none: the first of these that is there."
        for path in DEFAULT_PATHS
    },
    "server.data_dir/log_*.jsonl.zst": "Segments: the records. Those that end in .open are being written.",
    "server.data_dir/rejects_*.jsonl.zst": "Records that were refused, and why.",
    "server.state_dir/ingestd.json": "Where the running daemon listens, and its pid.",
}
_EXITS: Final = {
    "0": "All is well.",
    "1": "It could not be done, or what was asked about is not well; stderr says why.",
    "2": "The command line is wrong.",
    "3": "The daemon that is asked about does not run.",
    "4": "It cannot be told how the daemon does.",
    "78": "The configuration is wrong; stderr has every mistake.",
}

_OPTION: Final = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


def escaped(text: str) -> str:
    """Text on one line as roff reads it."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    ascii_only = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in plain)
    return re.sub(r"^\.", r"\\&.", ascii_only)


def _date() -> str:
    """Of the making, or the one that a build names that is to be reproduced (reproducible-builds.org)."""
    made_s = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return time.strftime("%Y-%m-%d", time.gmtime(made_s))


class Page:
    """One page in the making."""

    def __init__(self, name: str, section: int, summary: str) -> None:
        self.file = f"man{section}/{name}.{section}"
        title = (
            f'.TH "{escaped(name.upper())}" "{section}" "{_date()}" "ingestd {__version__}" "ingestd manual"'
        )
        self._lines = [title, ".nh", ".ad l"]
        self.section("NAME")
        self._lines.append(rf"{escaped(name)} \- {escaped(summary)}")

    @property
    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def section(self, title: str) -> None:
        self._lines.append(f'.SH "{escaped(title)}"')

    def prose(self, text: str) -> None:
        """Paragraphs, parted by empty lines; one that begins with click's `\\b` keeps its lines."""
        for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
            if number:
                self._lines.append(".PP")
            lines = [line for line in paragraph.splitlines() if line.strip() != "\b"]
            if len(lines) < len(paragraph.splitlines()):
                self._lines += [".nf", *map(escaped, lines), ".fi"]
            else:
                self._lines.append(escaped(" ".join(line.strip() for line in lines)))

    def synopsis(self, path: str, rest: str) -> None:
        self.section("SYNOPSIS")
        self._lines.append(rf"\fB{escaped(path)}\fR {escaped(rest)}".rstrip())

    def item(self, head: str, text: str) -> None:
        """A term and what it is; `head` is roff already."""
        self._lines += [".TP", head, escaped(" ".join(text.split())) or r"\&"]

    def see_also(self, names: list[str]) -> None:
        self.section("SEE ALSO")
        references = []
        for name in names:
            section = "5" if name == "ingestd.toml" else "1"
            references.append(rf"\fB{escaped(name)}\fR({section})")
        self._lines.append(",\n".join(references))


def command_pages(name: str, command: click.Command, parent: click.Context | None = None) -> Iterator[Page]:
    """The pages of a command and of all below it."""
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    path = context.command_path
    page = Page(path.replace(" ", "-"), 1, _summary(command))
    page.synopsis(path, " ".join(command.collect_usage_pieces(context)))
    page.section("DESCRIPTION")
    page.prose(command.help or _summary(command))
    _options(page, command, context)
    below = command.commands if isinstance(command, click.Group) else {}
    if below:
        page.section("COMMANDS")
        for word, inner in below.items():
            page.item(rf"\fB{escaped(f'{path}-{word}'.replace(' ', '-'))}\fR(1)", _summary(inner))
    if path == "ingestd":
        for title, entries in (("FILES", _FILES), ("EXIT STATUS", _EXITS)):
            page.section(title)
            for term, text in entries.items():
                page.item(rf"\fI{escaped(term)}\fR", text)
    page.see_also(_related(path, list(below)))
    yield page
    for word, inner in below.items():
        yield from command_pages(word, inner, context)


def _summary(command: click.Command) -> str:
    """The first sentence of the help."""
    text = " ".join((command.help or command.short_help or "").partition("\n\n")[0].split())
    return text.removesuffix(".")


def _options(page: Page, command: click.Command, context: click.Context) -> None:
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    records = [record for each in options if (record := each.get_help_record(context))]
    if records:
        page.section("OPTIONS")
        for head, text in records:
            page.item(_styled(head), text)
    variables = {each.envvar: max(each.opts, key=len) for each in options if isinstance(each.envvar, str)}
    if variables:
        page.section("ENVIRONMENT")
        for name, option in variables.items():
            page.item(rf"\fB{escaped(name)}\fR", f"Stands for {option}.")


def _styled(head: str) -> str:
    """`-n, --lines N` with the options in bold and the rest in italics."""
    parts = []
    at = 0
    for match in _OPTION.finditer(head):
        parts.append(_between(head[at : match.start()]))
        parts.append(rf"\fB{escaped(match[0])}\fR")
        at = match.end()
    return "".join([*parts, _between(head[at:])])


def _between(text: str) -> str:
    return escaped(text) if not text.strip(" ,") else rf" \fI{escaped(text.strip())}\fR"


def _related(path: str, below: list[str]) -> list[str]:
    """The command above, and what it is about."""
    above = path.rpartition(" ")[0].replace(" ", "-")
    others = [f"{path}-{word}".replace(" ", "-") for word in below]
    program = path.partition(" ")[0]
    general = ["ingestd.toml", "loadgen"] if program == "ingestd" else ["ingestd"]
    return [*([above] if above else []), *others, *general]


def configuration_page() -> Page:
    """ingestd.toml(5)."""
    page = Page("ingestd.toml", 5, "configuration of ingestd")
    page.section("DESCRIPTION")
    page.prose(
        "TOML. Sizes take KB, MB, GB (powers of 1000) or KiB, MiB, GiB (of 1024), durations us, ms, s, m, h, d. "
        "Every string may hold ${NAME} or ${NAME:-default} from the environment. Relative paths start at the folder "
        "the daemon is started in. A key may be left out; section.key stands in the table [section], or in one of "
        "[[section]]."
    )
    page.section("KEYS")
    for key in describe():
        page.item(rf"\fB{escaped(key.path)}\fR = {escaped(key.default_text)}", _explained(key))
    page.see_also(["ingestd", "ingestd-check"])
    return page


def _explained(key: Key) -> str:
    unit = f" In {key.unit}." if key.unit else ""
    return f"{key.description[:1].upper()}{key.description[1:]}.{unit} Allowed: {key.allowed}."


def pages() -> Iterator[Page]:
    """All pages."""
    for program in PROGRAMS:
        (script,) = entry_points(group="console_scripts", name=program)
        yield from command_pages(program, script.load())
    yield configuration_page()


def write(folder: Path) -> list[Path]:
    """Write all pages below `folder`, which is made."""
    written = []
    for page in pages():
        path = folder / page.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.text, encoding="ascii")
        written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("called as: python -m ingestd.manual DIR")
    print(f"{len(write(Path(sys.argv[1])))} manual pages in {sys.argv[1]}")
