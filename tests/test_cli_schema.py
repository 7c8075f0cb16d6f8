"""`ingestd schema` against a running daemon, found through its configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingestd.cli import main
from tests.daemon import Daemon
from tests.registry.asked import record


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), server__workers=1, registry__token="secret") as running:
        yield running


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INGESTD_REGISTRY_TOKEN", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["schema", *arguments], catch_exceptions=False)


def write(name: str, content: object) -> str:
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def test_register_list_get_and_check(daemon: Daemon) -> None:
    found = (
        f"--set=server.state_dir={daemon.folder / 'state'}",
        "--set=registry.token=secret",
    )
    order = write("order.avsc", record("id:long"))
    assert invoke("check", "cli-orders", order, *found).output == "cli-orders: compatible\n"
    registered = invoke("register", "cli-orders", order, *found)
    assert registered.output.startswith("cli-orders: version 1, id ")
    assert invoke("register", "cli-orders", order, *found).output == registered.output
    wider = write("wider.avsc", record("id:long", 'note:string=""'))
    assert "version 2" in invoke("register", "cli-orders", wider, *found).output
    assert json.loads(invoke("get", "cli-orders@1", *found).output) == record("id:long")
    assert invoke("get", "cli-orders", *found).output == invoke("get", "cli-orders@latest", *found).output
    other = write("other.avsc", record("id:string"))
    refused = invoke("check", "cli-orders", other, *found)
    assert refused.exit_code == 1
    assert refused.stderr.startswith(
        "ingestd: cli-orders: not compatible\n  version 2 cannot be read with this: "
    )
    assert invoke("check", "cli-orders@1", other, *found).stderr.count("version 1 cannot be read") == 1
    basket = write("basket.avsc", {"type": "array", "items": "Order"})
    reference = "--reference=Order=cli-orders@1"
    assert invoke("register", "cli-baskets", basket, reference, *found).exit_code == 0
    lines = invoke("list", *found).output.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [["cli-baskets@1", "AVRO"], ["cli-orders@2", "AVRO"]]
    lines = invoke("list", "cli-orders", *found).output.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["cli-orders@1", "cli-orders@2"]


def test_the_type_is_told_by_the_name_or_given(daemon: Daemon) -> None:
    url = "--url=http://{}:{}".format(*daemon.http)
    assert invoke("check", "cli-new", write("a.proto", 'syntax = "proto3";'), url).exit_code == 0
    assert invoke("check", "cli-new", write("a.json", "{}"), url).exit_code == 0
    unknown = invoke("check", "cli-new", write("a.txt", "{}"), url)
    assert unknown.exit_code == 2
    assert "give --type AVRO|JSON|PROTOBUF" in unknown.stderr
    assert invoke("check", "cli-new", "a.txt", url, "--type=json").exit_code == 0


def test_the_token(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "--url=http://{}:{}".format(*daemon.http)
    schema = write("a.json", "{}")
    refused = invoke("register", "cli-secret", schema, url)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Writing needs the token" in refused.stderr
    assert invoke("register", "cli-secret", schema, url, "--token=secret").exit_code == 0
    monkeypatch.setenv("INGESTD_REGISTRY_TOKEN", "secret")
    assert invoke("register", "cli-secret", schema, url).exit_code == 0


def test_mistakes_are_told_in_one_line(daemon: Daemon) -> None:
    url = "--url=http://{}:{}".format(*daemon.http)
    schema = write("a.json", "{")
    for arguments, message in (
        (("get", "cli-none", url), "Subject 'cli-none' not found. (40401)"),
        (("check", "x", schema, url), "Invalid schema: not JSON"),
        (("list", "--url=http://127.0.0.1:1"), "no registry answers at http://127.0.0.1:1"),
        (("list", "--url=file:///etc"), "write it as http://host:port"),
        (("list", "--url=localhost:8080"), "write it as http://host:port"),
        (("list", f"{url}/page.css?"), "is no registry"),
        (("list",), "state/ingestd.json: no such file; is the daemon running?"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 1
        assert message in result.stderr
        assert "Traceback" not in result.output


@pytest.mark.parametrize("reference", ["x", "x=y", "=y@1", "x=y@latest"])
def test_a_reference_names_its_version(reference: str) -> None:
    result = invoke(
        "check", "x", write("a.json", "{}"), "--url=http://127.0.0.1:1", f"--reference={reference}"
    )
    assert result.exit_code == 2
    assert "NAME=SUBJECT@VERSION" in result.stderr
