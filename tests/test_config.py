"""The configuration: defaults, units, references, overrides, and every mistake told in one pass."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import NODEFAULT

from ingestd import config as config_module
from ingestd.config import Config, default_path, describe, load
from ingestd.config_decode import toml_text
from ingestd.errors import ConfigError

Write = Callable[[str], Path]
"""Writes a configuration file and answers its path."""

ARRAYS = ("alert.", "notifier.")

SHIPPED = Path(__file__).parent.parent / "conf" / "ingestd.toml"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(text: str) -> Path:
        path = tmp_path / "ingestd.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def problems_of(path: Path | None, *overrides: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    """What is wrong, as key -> the whole line about it."""
    with pytest.raises(ConfigError) as caught:
        load(path, overrides, environ or {})
    assert caught.value.exit_code == os.EX_CONFIG
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_no_file_is_the_defaults() -> None:
    assert load() == Config()


def test_an_empty_file_is_the_defaults(write: Write) -> None:
    assert load(write("")) == Config()


def test_the_shipped_file_holds_the_defaults() -> None:
    assert load(SHIPPED, environ={}) == Config()


def test_the_shipped_file_names_every_key_with_its_unit() -> None:
    section, comment, seen = "", "", {}
    text = SHIPPED.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.startswith("#"):
            comment += line
            continue
        elif " = " in line:
            seen[f"{section}.{line.split(' = ')[0]}"] = comment
        comment = ""
    for key in describe():
        if key.path in ("enrich.fields", "schema.services"):
            continue
        if key.path.startswith(ARRAYS):
            assert re.search(
                rf"^#   {key.path} .*default {re.escape(key.default_text)}$", text, re.MULTILINE
            ), f"conf/ingestd.toml must tell {key.path} and its default {key.default_text}"
            continue
        assert key.path in seen, f"{key.path} is missing from conf/ingestd.toml"
        assert key.unit in seen[key.path].lower(), (
            f"{key.path} must say in conf/ingestd.toml that it is in {key.unit}"
        )
        assert f"default {key.default_text}" in seen[key.path], f"{key.path} must tell its default"


def test_units_become_bytes_and_seconds(write: Write) -> None:
    path = write('[segment]\nmax_bytes = "1MiB"\nmax_age = "1h30m"\nflush_interval = "250ms"\n')
    segment = load(path).segment
    assert (segment.max_bytes, segment.max_age, segment.flush_interval) == (1024**2, 5400.0, 0.25)


def test_a_plain_number_counts_bytes_but_never_seconds(write: Write) -> None:
    assert load(write("[segment]\nmax_bytes = 4096\n")).segment.max_bytes == 4096
    problems = problems_of(write("[segment]\nmax_age = 5\n"))
    assert problems["segment.max_age"].startswith("segment.max_age = 5: must be a duration such as")


def test_every_mistake_is_told_at_once(write: Write) -> None:
    path = write(
        """
        [server]
        workers = -1
        [listen.tcp]
        prot = 1
        port = 70000
        plaintext = "yes"
        [segment]
        level = 20
        max_bytes = "many"
        """
    )
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).splitlines() == [
        f"{path}: 6 errors",
        "  server.workers = -1: must be a whole number from 0 to 1024",
        "  listen.tcp.prot = 1: unknown key; did you mean listen.tcp.port?",
        "  listen.tcp.port = 70000: must be a whole number from 0 to 65535",
        '  listen.tcp.plaintext = "yes": must be true or false',
        "  segment.level = 20: must be a whole number from -7 to 19",
        '  segment.max_bytes = "many": must be a size such as "50MB", "1MiB" or 4096 of at least 1KB',
    ]


@pytest.mark.parametrize(
    ("assignment", "hint"),
    [
        ("segment.flush_intervall=1", "did you mean segment.flush_interval?"),
        ("segments.level=1", "did you mean segment?"),
        ("tcp.port=1", "did you mean listen.tcp?"),
        ("server.receive_buffer=1", "did you mean listen.udp.receive_buffer?"),
        ("http.zzzzzz=1", "known here are address, port"),
        ('"listen.tcp"=1', "unknown key"),
    ],
)
def test_an_unknown_key_gets_the_nearest_known_one(assignment: str, hint: str) -> None:
    (message,) = problems_of(None, assignment).values()
    assert "unknown key" in message
    assert hint in message


def test_a_value_where_a_section_belongs() -> None:
    assert "write [segment] above its keys" in problems_of(None, "segment=3")["segment"]


def test_a_section_where_a_value_belongs(write: Write) -> None:
    assert "must be a whole number" in problems_of(write("[segment.level]\nx = 1\n"))["segment.level"]


@pytest.mark.parametrize("value", ["true", "1.5", "'x'", "[1]", "2026-11-20"])
def test_a_number_key_takes_no_other_type(value: str) -> None:
    assert "must be a whole number" in problems_of(None, f"server.workers={value}")["server.workers"]


def test_a_long_value_is_cut(write: Write) -> None:
    assert len(problems_of(write(f'[segment]\nlevel = "{"x" * 9999}"\n'))["segment.level"]) < 200


class TestReferences:
    def test_the_environment_fills_any_string(self, write: Write) -> None:
        path = write(
            """
            listen.tcp.port = "${PORT}"
            segment.max_bytes = "${MEGABYTES}MB"
            enrich.environment = "${STAGE:-dev}-${REGION:-}"
            enrich.fields = { team = "$${TEAM} is ${TEAM}", cost = "5$" }
            """
        )
        config = load(path, environ={"PORT": "4001", "MEGABYTES": "2", "TEAM": "a${b", "STAGE": ""})
        assert config.listen.tcp.port == 4001
        assert config.segment.max_bytes == 2_000_000
        assert config.enrich.environment == "dev-"
        assert config.enrich.fields == {"team": "${TEAM} is a${b", "cost": "5$"}

    def test_an_unset_variable_is_named_with_its_key(self) -> None:
        problems = problems_of(None, "enrich.fields.team=${TEAM}", "server.data_dir=${DATA}")
        assert problems["enrich.fields.team"] == (
            'enrich.fields.team = "${TEAM}": the environment variable TEAM is not set; '
            "set it, or write ${TEAM:-default}"
        )
        assert "the environment variable DATA is not set" in problems["server.data_dir"]

    def test_a_wrong_value_shows_where_it_came_from(self) -> None:
        problems = problems_of(None, "http.port=${PORT}", environ={"PORT": "many"})
        assert problems["http.port"].startswith('http.port = "many" (from "${PORT}"): must be')

    @pytest.mark.parametrize("text", ["${", "${}", "${1X}", "${A B}", "${A:default}"])
    def test_a_malformed_reference(self, text: str) -> None:
        assert "$${ for a plain ${" in problems_of(None, f"enrich.environment='{text}'")["enrich.environment"]


class TestOverrides:
    def test_they_go_over_the_file(self, write: Write) -> None:
        config = load(write("[http]\nport = 1\n"), ["http.port=2", "http.address = '::1'"])
        assert (config.http.port, config.http.address) == (2, "::1")

    def test_strings_need_no_quotes(self) -> None:
        config = load(
            None, ["segment.max_bytes=2MB", "server.data_dir=/srv/log data", "listen.tcp.plaintext=true"]
        )
        assert config.segment.max_bytes == 2_000_000
        assert config.server.data_dir == "/srv/log data"
        assert config.listen.tcp.plaintext is True

    @pytest.mark.parametrize("text", ["1.20", "2026-11-20", "true", "1\nx = 2", "a=b", ""])
    def test_a_string_key_takes_the_text_as_it_is(self, text: str) -> None:
        assert load(None, [f"enrich.app_version={text}"]).enrich.app_version == text

    def test_enrichment_fields(self) -> None:
        config = load(None, ["enrich.fields.team=core", 'enrich.fields."a.b"=c'])
        assert config.enrich.fields == {"team": "core", "a.b": "c"}

    def test_the_last_one_counts(self) -> None:
        assert load(None, ["http.port=1", "http.port=2"]).http.port == 2

    @pytest.mark.parametrize("text", ["", "=1", "http.port", "a b=1", "http..port=1", "x\ny=1"])
    def test_what_is_no_assignment(self, text: str) -> None:
        assert "section.key=value" in problems_of(None, text)[""]

    def test_a_value_in_the_way(self, write: Write) -> None:
        assert "not a table" in problems_of(write("http = 3\n"), "http.port=1")["http.port"]


class TestRules:
    @pytest.mark.parametrize("key", ["listen.tcp.address", "listen.udp.address", "http.address"])
    def test_addresses_are_ip_addresses(self, key: str) -> None:
        assert "must be an IP address" in problems_of(None, f"{key}=localhost")[key]

    def test_low_water_is_below_high_water(self) -> None:
        problems = problems_of(None, "buffer.low_water=32MB")
        assert problems["buffer.low_water"] == (
            'buffer.low_water = "32MB": must be below buffer.high_water, which is "32MB"'
        )

    def test_a_rule_about_a_value_that_was_not_read_is_silent(self) -> None:
        assert list(problems_of(None, "buffer.low_water=32MB", "buffer.high_water=lots")) == [
            "buffer.high_water"
        ]

    def test_tls_needs_a_certificate_and_a_key(self) -> None:
        overrides = ["listen.tcp.cert=''", "listen.tcp.key=''"]
        assert set(problems_of(None, *overrides)) == {"listen.tcp.cert", "listen.tcp.key"}
        assert load(None, [*overrides, "listen.tcp.plaintext=true"]).listen.tcp.cert == ""

    def test_client_certificates_need_tls(self) -> None:
        problems = problems_of(None, "listen.tcp.client_ca=ca.crt", "listen.tcp.plaintext=true")
        assert "no effect without TLS" in problems["listen.tcp.client_ca"]

    def test_two_listeners_on_one_port(self) -> None:
        assert "another port" in problems_of(None, "http.port=3001")["http.port"]
        assert load(None, ["http.port=0", "listen.tcp.port=0"]).http.port == 0

    @pytest.mark.parametrize(
        "name", ["timestamp", "level", "service", "message", "format", "received_at", '""']
    )
    def test_enrichment_never_takes_a_core_field(self, name: str) -> None:
        (message,) = problems_of(None, f"enrich.fields.{name}=x").values()
        assert "must have another name than format, level, message, received_at, " in message

    @pytest.mark.parametrize("name", ["Europe/Nowhere", "Europe", "../etc/passwd", '""'])
    def test_a_time_zone_that_is_none(self, name: str) -> None:
        assert "IANA" in problems_of(None, f"syslog.timezone={name}")["syslog.timezone"]

    def test_enrichment_fields_are_strings(self) -> None:
        assert "in quotes" in problems_of(None, "enrich.fields.shard=3")["enrich.fields.shard"]
        assert "a table of strings" in problems_of(None, "enrich.fields=3")["enrich.fields"]


class TestWhoMaySend:
    def test_lists_of_strings(self, write: Write) -> None:
        path = write('[auth]\nnetworks = ["10.0.0.0/8", "${NET}", "::1"]\n')
        config = load(path, environ={"NET": "192.0.2.0/24"})
        assert config.auth.networks == ("10.0.0.0/8", "192.0.2.0/24", "::1")
        assert load(None, ['auth.networks=["fd00::/8"]']).auth.networks == ("fd00::/8",)

    @pytest.mark.parametrize("value", ["10.0.0.0/8", "[1]", '[["a"]]', "true"])
    def test_what_is_no_list_of_strings(self, value: str) -> None:
        assert "must be a list of strings" in problems_of(None, f"auth.networks={value}")["auth.networks"]

    @pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "localhost", ""])
    @pytest.mark.parametrize("key", ["networks", "tokenless_networks"])
    def test_what_is_no_network(self, key: str, network: str) -> None:
        problems = problems_of(None, f'auth.{key}=["{network}"]', "auth.tokens_file=tokens")
        assert "must be a network such as" in problems[f"auth.{key}"]

    def test_clients_are_named_in_full(self) -> None:
        ca = "listen.tcp.client_ca=ca.crt"
        assert load(None, ['auth.clients=["CN:a", "DNS:b"]', ca]).auth.clients == ("CN:a", "DNS:b")
        assert '"CN:name"' in problems_of(None, 'auth.clients=["web1"]', ca)["auth.clients"]

    def test_what_would_have_no_effect(self) -> None:
        assert "set listen.tcp.client_ca" in problems_of(None, 'auth.clients=["CN:a"]')["auth.clients"]
        problems = problems_of(None, 'auth.tokenless_networks=["::1"]')
        assert "set auth.tokens_file" in problems["auth.tokenless_networks"]

    @pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
    def test_http_beyond_this_machine_needs_tokens_or_a_word(self, address: str) -> None:
        problems = problems_of(None, f"http.address={address}")
        assert "set http.tokens_file" in problems["http.address"]
        for meant in ("http.allow_anonymous=true", "http.tokens_file=tokens"):
            assert load(None, [f"http.address={address}", meant]).http.address == address

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
    def test_http_on_this_machine_needs_nothing(self, address: str) -> None:
        assert load(None, [f"http.address={address}"]).http.address == address

    def test_a_certificate_has_a_key(self) -> None:
        for override in ("http.cert=a", "http.key=a"):
            assert "must both be set" in problems_of(None, override)["http.cert and http.key"]

    @pytest.mark.parametrize(
        "text",
        [
            "[registry]\ntoken = 31337\n",
            "[registry]\ntoken = '31337${'\n",
            "[http]\ntoken = '31337'\n",
            "[auth]\ntokens = ['31337']\n",
            "[server]\npassword = '31337'\n",
            "token = '31337'\n",
        ],
    )
    def test_a_secret_is_in_no_message(self, write: Write, text: str) -> None:
        messages = problems_of(write(text)).values()
        assert messages
        assert "31337" not in "".join(messages)

    def test_the_name_of_a_file_is_no_secret(self, write: Write) -> None:
        assert "31337" in problems_of(write("[auth]\ntokens_file = 31337\n"))["auth.tokens_file"]


class TestFiles:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "no such file; name another with -c" in problems_of(tmp_path / "none.toml")[""]

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "cannot be read: Is a directory" in problems_of(tmp_path)[""]

    def test_not_toml(self, write: Write) -> None:
        assert "not TOML: " in problems_of(write("[server\n"))[""]

    def test_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "latin1.toml"
        path.write_bytes(b"# caf\xe9\n")
        assert "not UTF-8 at byte 5" in problems_of(path)[""]

    def test_the_default_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = (tmp_path / "near.toml", tmp_path / "far.toml")
        monkeypatch.setattr(config_module, "DEFAULT_PATHS", paths)
        assert default_path() is None
        paths[1].touch()
        assert default_path() == paths[1]
        paths[0].touch()
        assert default_path() == paths[0]


def test_every_key_describes_itself() -> None:
    for key in describe():
        assert key.default is not NODEFAULT
        assert key.description, f"{key.path} has no description"
        assert key.allowed
        assert key.unit or not key.path.endswith(("_bytes", "_timeout", "_age", "_interval", "_water"))


def test_every_default_reads_back() -> None:
    tables = ("enrich.fields", "schema.services")
    keys = [key for key in describe() if key.path not in tables and not key.path.startswith(ARRAYS)]
    assert load(None, [f"{key.path}={key.default_text}" for key in keys]) == Config()


@pytest.mark.parametrize(
    "text", ["", "2000-01-01", "1969-12-31T23:59:59Z", "2000-02-30T00:00:00Z", "yesterday"]
)
def test_the_earliest_timestamp_is_a_time(text: str) -> None:
    assert "written as" in problems_of(None, f"schema.min_timestamp={text}")["schema.min_timestamp"]
    assert (
        load(None, ["schema.min_timestamp=2000-01-01T00:00:00Z"]).schema.min_timestamp
        == "2000-01-01T00:00:00Z"
    )


def test_a_service_has_a_subject() -> None:
    assert load(None, ["schema.services.billing=bills@3"]).schema.services == {"billing": "bills@3"}
    assert "subject" in problems_of(None, "schema.services.billing=")["schema.services.billing"]


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Config().http.port = 1  # type: ignore[misc]


def test_toml_text_of_what_json_does_not_know() -> None:
    assert toml_text({"when": {1}}) == '{"when": "{1}"}'
