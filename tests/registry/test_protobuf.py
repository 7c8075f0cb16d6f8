"""Protobuf schemas: what protoc takes, imports, and the binary form of Confluent's serializers."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ingestd.registry import protobuf
from ingestd.registry.errors import SchemaError
from ingestd.registry.parsed import Source

ORDER = 'syntax = "proto3"; message Order { int64 id = 1; }'
BASKET = 'syntax = "proto3"; import "shop/order.proto"; message Basket { repeated Order orders = 1; }'
TIMED = 'syntax="proto3"; import "google/protobuf/timestamp.proto"; message T { google.protobuf.Timestamp at = 1; }'


@pytest.mark.parametrize("schema", [ORDER, TIMED, 'syntax = "proto2"; message A { required int32 a = 1; }'])
def test_accepted_as_it_came(schema: str) -> None:
    assert protobuf.parse(schema, ()).text == schema


@pytest.mark.parametrize(
    "schema",
    [
        "",
        " ",
        "{}",
        "messag Order {}",
        BASKET,
        'syntax = "proto3"; message A { B b = 1; }',
        'syntax = "proto3"; import "/etc/passwd";',
        'syntax = "proto3"; import "../../etc/passwd";',
        "\0",
        "\ud800",
        base64.b64encode(FileDescriptorProto(name="-h").SerializeToString()).decode(),
        base64.b64encode(
            FileDescriptorProto(name="a", dependency=["none.proto"]).SerializeToString()
        ).decode(),
    ],
)
def test_refused(schema: str) -> None:
    with pytest.raises(SchemaError):
        protobuf.parse(schema, ())


def test_layout_and_comments_do_not_count_once_normalized() -> None:
    other = protobuf.parse("// An order.\n" + ORDER.replace("{", "{\n"), ())
    assert other.identity == protobuf.parse(ORDER, ()).identity
    assert other.identity != protobuf.parse(ORDER.replace("int64", "int32"), ()).identity


def test_imports_and_binary_forms_mix() -> None:
    order = Source("shop/order.proto", ORDER)
    basket = protobuf.parse(BASKET, [order])
    descriptor = FileDescriptorProto.FromString(base64.b64decode(basket.identity))
    assert [message.name for message in descriptor.message_type] == ["Basket"]
    binary = Source("shop/order.proto", protobuf.parse(ORDER, ()).identity)
    assert protobuf.parse(BASKET, [binary]).identity == basket.identity
    for source in (order, binary):
        again = protobuf.parse(basket.identity, [source])
        assert (again.text, again.identity) == (basket.identity, basket.identity)


@pytest.mark.parametrize("module", ["grpc_tools/__init__.py", "runpy.py", "sitecustomize.py"])
def test_a_reference_is_never_run(module: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    code = f"open({str(proof)!r}, 'w')"
    assert protobuf.parse(ORDER, [Source(module, code)]).text == ORDER
    assert not proof.exists()


@pytest.mark.parametrize("name", ["../outside.proto", "/tmp/outside.proto", "", "a\nb", "a" * 5000])
def test_a_reference_stays_in_its_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(SchemaError):
        protobuf.parse(BASKET, [Source(name, ORDER)])
    assert list(tmp_path.iterdir()) == []


def test_protoc_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "PROTOC_TIMEOUT_S", 0.0)
    with pytest.raises(SchemaError, match="did not end within 0 s"):
        protobuf.parse(ORDER, ())


def test_every_version_counts_as_compatible() -> None:
    assert protobuf.why_not(None, None) == []
