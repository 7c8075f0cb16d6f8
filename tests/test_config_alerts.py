"""[[alert]] and [[notifier]]: what is read, and what every mistake in them is told as."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from ingestd.config import load
from ingestd.config_alerts import place
from ingestd.config_patterns import check_patterns
from ingestd.errors import ConfigError

MAIL = 'kind = "email"\nserver = "smtp:25"\nsender = "a@b"\n'
HOOK = '[[notifier]]\nname = "ops"\nkind = "webhook"\nurl = "http://127.0.0.1:1/"\n'


def read(folder: Path, text: str, **environ: str) -> object:
    path = folder / "ingestd.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ)


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, **environ)
    return [str(problem) for problem in caught.value.problems]


def test_rules_and_notifiers_in_their_order_with_units_and_references(tmp_path: Path) -> None:
    path = tmp_path / "ingestd.toml"
    path.write_text(
        """
        [[alert]]
        name = "many-errors"
        kind = "rate"
        level = "ERROR"
        more_than = 1000
        window = "1m"
        for = "30s"
        labels = { team = "${TEAM}" }
        [[alert]]
        name = "disk"
        kind = "system"
        check = "disk_used"
        above = "85%"
        notify = ["ops"]
        [[notifier]]
        name = "ops"
        kind = "webhook"
        url = "https://hooks.example.org/${TEAM}"
        headers = { Authorization = "Bearer ${TEAM}" }
        """,
        encoding="utf-8",
    )
    config = load(path, environ={"TEAM": "core"})
    rate, disk = config.alert
    assert (rate.name, rate.window, rate.for_, rate.labels) == ("many-errors", 60.0, 30.0, {"team": "core"})
    assert (disk.above, disk.notify, disk.group_by) == (0.85, ("ops",), ("rule",))
    assert config.notifier[0].headers == {"Authorization": "Bearer core"}


def test_an_override_replaces_them_all() -> None:
    (alert,) = load(None, ['alert=[{name="e", kind="match", level="ERROR"}]']).alert
    assert (alert.name, alert.level) == ("e", "ERROR")


def test_every_mistake_names_the_rule_the_key_and_what_is_allowed(tmp_path: Path) -> None:
    text = """
        [[alert]]
        name = "a"
        kind = "match"
        levle = "ERROR"
        level = "BAD"
        for = 5
        [[alert]]
        kind = "rate"
        service = "x"
        [[alert]]
        name = "b"
        kind = "system"
        check = "disk_used"
        within = "1d"
        pattern = "x"
    """
    assert problems(tmp_path, text) == [
        'alert "a": levle = "ERROR": unknown key; did you mean level?',
        'alert "a": level = "BAD": must be one of "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"',
        'alert "a": for = 5: must be a duration such as "250ms", "10s" or "1h30m"',
        "[[alert]] 2: name: must be a name of 1 to 64 letters, digits and _.:-, such as disk-full",
        '[[alert]] 2: more_than: must be given, at least 1; for a single record write kind = "match"',
        'alert "b": pattern: has no effect with kind = "system"; it is for "match" or "rate"',
        'alert "b": within = "1d": has no effect on disk_used; write above',
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", 'kind: must be given: one of "match", "rate", "absence", "system"'),
        ('kind = "match"\nlevel = "ERROR"\nnotify = ["opps"]', 'notify = "opps": is the name of no notifier'),
        ('kind = "match"\nlevel = "ERROR"\nnotify = ["opps"]', "did you mean ops?"),
        ('kind = "match"\nlevel = "ERROR"\nfield = "x"', 'field = "x": has no effect without a pattern'),
        (
            'kind = "match"\nlevel = "ERROR"\nsummary = "{servise}"',
            "{servise} is nothing known; did you mean service?",
        ),
        (
            'kind = "match"\nlevel = "ERROR"\ngroup_by = ["team"]',
            'group_by = "team": is no label of this rule',
        ),
        ('kind = "match"\nlevel = "ERROR"\nlabels = { rule = "x" }', "labels.rule"),
        ('kind = "match"\nlevel = "ERROR"\nlabels = { "a b" = "x" }', "labels.a b"),
        ('kind = "absence"', "give either a service or a node"),
        ('kind = "absence"\nservice = "a"\nnode = "b"\nsilent_for = "1m"', "give either a service or a node"),
        ('kind = "absence"\nservice = "a"', "silent_for: must be given"),
        ('kind = "system"', "check: must be given: one of disk_used"),
        (
            'kind = "system"\ncheck = "certificate_expiry"\nabove = 3',
            "has no effect on certificate_expiry; write within",
        ),
        ('kind = "system"\ncheck = "queue"\nwindow = "1m"', "has no effect on queue"),
        ('kind = "system"\ncheck = "queue"\nabove = "many"', 'a number such as 100, 0.8 or "80%"'),
        ('kind = "system"\ncheck = "queue"\nabove = true', 'a number such as 100, 0.8 or "80%"'),
    ],
)
def test_what_a_rule_must_hold(tmp_path: Path, keys: str, said: str) -> None:
    found = problems(tmp_path, f'{HOOK}[[alert]]\nname = "r"\n{keys}\n')
    assert any(line.startswith('alert "r": ') and said in line for line in found), found


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", 'kind: must be given: one of "webhook", "alertmanager"'),
        ('kind = "webhook"', "url: must be given, such as"),
        ('kind = "webhook"\nurl = "ftp://x/31337"', "url: must be given, such as"),
        ('kind = "webhook"\nurl = "http://[::1/31337"', "url: must be given, such as"),
        ('kind = "log"\nurl = "http://x/31337"', 'url: has no effect with kind = "log"; it is for "webhook" or'),
        ('kind = "command"', "command: must be given, such as"),
        ('kind = "command"\ncommand = "rm -rf"', 'must be a list of strings'),
        ('kind = "email"\nserver = "smtp"', 'server = "smtp": must be host:port'),
        ('kind = "email"\nserver = "smtp:587"\nsender = "a@b"', "recipients: must be given"),
        (MAIL + 'recipients = ["c"]', 'recipients = "c": must be an address'),
        (MAIL + 'recipients=["c@d"]\nusername="u"\npassword="31337"\nsecurity="none"', "in the clear"),
        (MAIL + 'recipients=["c@d"]\npassword="31337"', "must both be set"),
        ('kind = "webhook"\nurl = "http://x"\nsecret = 31337', 'secret = "…": must be a string'),
        ('kind = "webhook"\nurl = "http://x"\nheaders = { A = 31337 }', 'headers.A = "…": must be a string'),
        ('kind = "webhook"\nurl = "http://x"\nheaders = { A = "31337${" }', "$${ for a plain ${"),
    ],
)  # fmt: skip
def test_what_a_notifier_must_hold(tmp_path: Path, keys: str, said: str) -> None:
    found = problems(tmp_path, f'[[notifier]]\nname = "n"\n{keys}\n')
    assert any(line.startswith('notifier "n": ') and said in line for line in found), found
    assert "31337" not in "".join(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[alert]\nname = "x"\n', "write [[alert]] above the keys of each"),
        ("alert = 3\n", "write [[alert]] above the keys of each"),
        ("alert = [3]\n", "write [[alert]] above the keys of each"),
        ('[[alerts]]\nname = "x"\n', "did you mean [[alert]]?"),
        ('[[notifyer]]\nname = "x"\n', "did you mean notifier?"),
    ],
)
def test_a_section_of_another_shape(tmp_path: Path, text: str, said: str) -> None:
    (line,) = problems(tmp_path, text)
    assert said in line


def test_names_are_unique(tmp_path: Path) -> None:
    rule = '[[alert]]\nname = "a"\nkind = "match"\nlevel = "ERROR"\n'
    assert problems(tmp_path, rule * 3 + HOOK) == [
        'alert "a": name = "a": is given twice; each alert has its own name'
    ]


def test_a_key_that_was_not_read_is_accused_once(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, '[[alert]]\nname = "x"\nkind = "mach"\nlevel = "ERROR"\n')
    assert 'must be one of "match", "rate", "absence", "system"' in line


def test_of_a_url_only_the_server_is_named() -> None:
    assert place("https://u:31337@h:1/31337?a=31337") == "https://h:1"
    assert place("http://[::1]/31337") == "http://[::1]"


def test_the_examples_of_the_shipped_file_and_of_the_documentation_are_good(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    shipped = (root / "conf/ingestd.toml").read_text(encoding="utf-8")
    examples = [
        "\n".join(line.removeprefix("#").strip() for line in block.splitlines())
        for block in re.findall(r"^# For example:\n((?:#.*\n)+)", shipped, re.MULTILINE)
    ]
    documents = [(root / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("alerts", "operating")]
    for text in documents:
        tables = re.findall(r"^ +\[\[(?:alert|notifier)\]\]\n(?: +\S.*\n)+", text, re.MULTILINE)
        examples.append("\n".join(tables))
    counts = []
    for example in examples:
        path = tmp_path / "ingestd.toml"
        path.write_text(textwrap.dedent(example), encoding="utf-8")
        config = load(path, environ={"WEBHOOK_SECRET": "s", "SMTP_PASSWORD": "p"})
        check_patterns(config)
        counts.append((len(config.alert), len(config.notifier)))
    assert counts == [(4, 0), (0, 4), (1, 1), (1, 1)]
