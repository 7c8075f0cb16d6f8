"""The configuration as it is shown: complete, as it would be written, and without a secret."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ingestd.config import Config, describe, load
from ingestd.config_shown import shown_settings

SECRET = "hunter2-of-nobody-else"
FILE = f"""
[segment]
max_bytes = "20MB"
[enrich.fields]
team = "payments"
api_token = "{SECRET}"
[registry]
token = "{SECRET}"

[[alert]]
name = "mail-errors"
kind = "match"
level = "ERROR"
for = "30s"

[[notifier]]
name = "chat"
kind = "webhook"
url = "https://user:{SECRET}@chat.example.org/hooks/{SECRET}?key={SECRET}"
secret = "{SECRET}"
headers = {{ Authorization = "Bearer {SECRET}" }}

[[notifier]]
name = "pager"
kind = "command"
command = ["/usr/bin/page", "--key", "{SECRET}"]
"""


def shown(config: Config) -> dict[str, str]:
    return {one.key: one.value for one in shown_settings(config)}


def test_every_key_is_shown_with_its_default() -> None:
    scalars = {key.path: key for key in describe() if not key.path.startswith(("alert.", "notifier."))}
    settings = list(shown_settings(Config()))
    assert [one.key for one in settings] == list(scalars)
    for one in settings:
        assert one.value == one.default == scalars[one.key].default_text
        assert one.what == scalars[one.key].description


def test_values_are_as_they_would_be_written(tmp_path: Path) -> None:
    path = tmp_path / "ingestd.toml"
    path.write_text(FILE)
    values = shown(load(path, environ={}))
    assert values["segment.max_bytes"] == '"20MB"'
    assert values['alert "mail-errors".for'] == '"30s"'
    assert values['alert "mail-errors".level'] == '"ERROR"'
    assert 'alert "mail-errors".pattern' not in values, "it is not set"
    for key, value in values.items():
        if not key.startswith(("alert ", "notifier ", "enrich.fields")):
            tomllib.loads(f"value = {value}")


def test_no_secret_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "ingestd.toml"
    path.write_text(FILE)
    values = shown(load(path, environ={}))
    assert SECRET not in "".join(values.values())
    assert values["registry.token"] == '"…"'
    assert values["enrich.fields"] == '{team = "payments", api_token = "…"}'
    assert values['notifier "chat".url'] == '"https://chat.example.org/…"'
    assert values['notifier "chat".secret'] == '"…"'
    assert values['notifier "pager".command'] == '["/usr/bin/page", …]'
