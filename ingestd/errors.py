"""The errors a user of ingestd may meet, and the exit code each one ends the process with.

An `IngestdError` is somebody's mistake or a fact of the machine, never a bug: the command line prints its
message after `ingestd: ` and exits with its `exit_code`, without a traceback. Every message says what is
wrong, where, and what to do. Anything else that reaches the command line is a bug and keeps its traceback.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass


class IngestdError(Exception):
    """Something a person can put right; `str(error)` says how."""

    exit_code = 1


class StartError(IngestdError):
    """The daemon cannot start here and now: a port in use, a folder locked, a socket refused."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one key of the configuration."""

    key: str
    """The dotted path, as for `--set`: `listen.tcp.port`."""
    given: str
    """The value as TOML; empty when there is none to show."""
    reason: str
    """What is wrong and what is allowed instead."""
    others: tuple[str, ...] = ()
    """Further keys the reason speaks of."""

    def __str__(self) -> str:
        name = f"{self.key} = {self.given}" if self.given else self.key
        return f"{name}: {self.reason}" if name else self.reason


class ConfigError(IngestdError):
    """All that is wrong with a configuration, found in one pass; nothing of it has been applied."""

    exit_code = os.EX_CONFIG  # 78, sysexits.h

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        """`source` names the file (or says that there is none), for the head of the message."""
        self.source = source
        self.problems = tuple(problems)
        super().__init__(source, self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.source}: {self.problems[0]}"
        lines = [f"{self.source}: {len(self.problems)} errors"]
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems)])
