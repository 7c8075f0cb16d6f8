"""Whether the patterns of rules are of the language that is matched in linear time.

Asked by `ingestd check` and before a start, as `config_files` is: compiling takes the engine, and may take a second.
"""

from __future__ import annotations

from ingestd.config import Config
from ingestd.config_decode import table_label, toml_text
from ingestd.errors import ConfigError, Problem


def check_patterns(config: Config, source: str = "configuration") -> None:
    """Raise ConfigError with every pattern that cannot be looked for."""
    asked = [(number, alert) for number, alert in enumerate(config.alert, 1) if alert.pattern]
    if not asked:
        return
    from ingestd.observe.patterns import check_pattern  # its engine takes a while to load

    problems = [
        Problem(f"{table_label('alert', number, alert.name)}: pattern", toml_text(alert.pattern), reason)
        for number, alert in asked
        if (reason := check_pattern(alert.pattern)) is not None
    ]
    if problems:
        raise ConfigError(source, problems)
