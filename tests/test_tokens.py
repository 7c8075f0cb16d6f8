"""Tokens: made at random, kept as hashes, followed while their file changes, and never repeated in a message."""

from __future__ import annotations

import stat
from base64 import b64encode
from pathlib import Path

import pytest

from ingestd.tokens import (
    PREFIX,
    TokenError,
    TokenFile,
    add_line,
    find_token,
    make_token,
    parse_tokens,
    same_secret,
    shown_secret,
)

HASH = "sha256:" + "0" * 64


def test_a_token_is_found_by_its_secret_alone() -> None:
    made = [make_token(name) for name in ("a", "b", "b")]
    tokens = parse_tokens("\n".join(line for _, line in made))
    assert len({secret for secret, _ in made}) == 3
    for (secret, line), name in zip(made, "abb", strict=True):
        assert secret.startswith(PREFIX)
        assert secret not in line
        found = find_token(tokens, secret)
        assert found is not None
        assert found.name == name
        assert find_token(tokens, secret[:-1]) is None
    assert find_token(tokens, "") is None
    assert find_token(tokens, "\udcff") is None


def test_a_token_speaks_for_the_clients_of_its_pattern() -> None:
    secret, line = make_token("web", "web-?.*")
    token = find_token(parse_tokens(line), secret)
    assert token is not None
    assert [
        client for client in ("web-1.a", "web-1.", "web-12.a", "xweb-1.a", "") if token.allows(client)
    ] == [
        "web-1.a",
        "web-1.",
    ]
    assert parse_tokens(f"any {HASH}")[0].allows("whoever")


def test_comments_and_empty_lines() -> None:
    assert [token.name for token in parse_tokens(f"# all\n\n  a {HASH}  # first\n\tb {HASH} client=b\n")] == [
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no token"),
        ("# nothing\n", "holds no token"),
        ("hunter2", "line 1: behind the name stand sha256:"),
        (f"a {HASH}\nhunter2!!", "line 2: a line begins with a name"),
        (f"a {HASH}0", "line 1: behind the name"),
        (f"a {HASH} hunter2", "line 1: behind the hash"),
        (f"a {HASH} client=hunter2/", "line 1: behind the hash"),
        (f"a {HASH} client=[a-z]", "line 1: behind the hash"),
        (f"a {HASH} client=a hunter2", "line 1: behind the hash"),
    ],
)
def test_a_file_that_is_none_says_where_and_repeats_nothing(text: str, message: str) -> None:
    with pytest.raises(TokenError, match=message) as caught:
        parse_tokens(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("name", "client"), [("a b", "*"), ("", "*"), ("a", "b c"), ("a", ""), ("#", "*")])
def test_a_name_that_no_line_could_hold(name: str, client: str) -> None:
    with pytest.raises(TokenError):
        make_token(name, client)


def test_lines_are_added_to_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add_line(path, f"a {HASH}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text(path.read_text().rstrip())
    add_line(path, f"b {HASH}")
    assert path.read_text() == f"a {HASH}\nb {HASH}\n"
    with pytest.raises(TokenError, match="name a file you may write"):
        add_line(tmp_path, "")


def test_a_file_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"a {HASH}\n")
    file = TokenFile(path)
    assert [token.name for token in file.tokens] == ["a"]
    assert not file.look()
    path.write_text(f"a {HASH}  # the same\n")
    assert not file.look()
    add_line(path, f"b {HASH}")
    assert file.look()
    assert [token.name for token in file.tokens] == ["a", "b"]
    assert caplog.messages == []


def test_a_file_gone_bad_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"a {HASH}\n")
    file = TokenFile(path)
    for bad in (b"", b"hunter2\n", b"\xff"):
        path.write_bytes(bad)
        assert [file.look() for _ in range(3)] == [False] * 3
    path.unlink()
    assert [file.look() for _ in range(3)] == [False] * 3
    assert len(caplog.messages) == 4
    assert all("the 1 tokens known before still hold" in message for message in caplog.messages)
    assert "hunter2" not in caplog.text
    assert [token.name for token in file.tokens] == ["a"]
    path.mkdir()
    assert not file.look()


def test_without_a_file_nobody_is_known(tmp_path: Path) -> None:
    assert TokenFile(tmp_path / "none").tokens == ()


@pytest.mark.parametrize(
    ("authorization", "secret"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic " + b64encode(b"user:a:c").decode(), "a:c"),
        ("Basic " + b64encode("u:s\u00e9cret".encode()).decode(), "s\u00e9cret"),
        ("Basic " + b64encode(b"user").decode(), ""),
        ("Basic !", ""),
        ("Basic " + b64encode(b"u:\xff").decode(), ""),
        ("Digest abc", ""),
        ("abc", ""),
        ("", ""),
    ],
)
def test_what_an_authorization_shows(authorization: str, secret: str) -> None:
    assert shown_secret(authorization) == secret


def test_secrets_are_compared_whole() -> None:
    assert same_secret("s\u00e9cret", "s\u00e9cret")
    assert not same_secret("secret", "secret ")
    assert not same_secret("\udcff", "secret")
