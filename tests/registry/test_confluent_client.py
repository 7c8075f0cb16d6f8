"""Confluent's own Python client and Avro serializers against the registry, as a producer and a consumer use them."""

from __future__ import annotations

import base64
import json

import pytest
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    SchemaRegistryError,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.timestamp_pb2 import Timestamp

from tests.registry.asked import Asked, record, serving

ORDER = Schema(json.dumps(record("id:long")))
WIDER = Schema(json.dumps(record("id:long", 'note:string=""')))
OTHER = Schema(json.dumps(record("id:string")))
VALUE = SerializationContext("orders", MessageField.VALUE)


def test_register_fetch_and_check(client: SchemaRegistryClient) -> None:
    assert client.get_subjects() == []
    schema_id = client.register_schema("orders-value", ORDER)
    fetched = client.get_schema(schema_id)
    assert json.loads(fetched.schema_str or "") == record("id:long")
    assert client.test_compatibility("orders-value", WIDER)
    assert not client.test_compatibility("orders-value", OTHER)
    client.register_schema("orders-value", WIDER)
    assert client.get_versions("orders-value") == [1, 2]
    latest = client.get_latest_version("orders-value")
    assert (latest.version, latest.schema_id) == (2, schema_id + 1)
    assert client.get_version("orders-value", 1).schema_id == schema_id
    assert client.lookup_schema("orders-value", WIDER).version == 2
    assert client.get_subjects_by_schema_id(schema_id) == ["orders-value"]
    assert client.get_schema_types() == ["AVRO", "JSON", "PROTOBUF"]


def test_levels_and_deletion(client: SchemaRegistryClient) -> None:
    assert client.get_compatibility() == "BACKWARD"
    client.register_schema("orders-value", ORDER)
    client.set_compatibility("orders-value", "NONE")
    assert client.get_compatibility("orders-value") == "NONE"
    client.register_schema("orders-value", OTHER)
    assert client.delete_version("orders-value", 2) == 2
    assert client.delete_subject("orders-value") == [1]
    assert client.delete_subject("orders-value", permanent=True) == [1, 2]


def test_errors_carry_the_codes_of_the_api(client: SchemaRegistryClient) -> None:
    client.register_schema("orders-value", ORDER)
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema("orders-value", OTHER)
    assert (refused.value.http_status_code, refused.value.error_code) == (409, 409)
    with pytest.raises(SchemaRegistryError) as missing:
        client.get_latest_version("none")
    assert (missing.value.http_status_code, missing.value.error_code) == (404, 40401)


def test_references(client: SchemaRegistryClient) -> None:
    client.register_schema("order", ORDER)
    basket = Schema('{"type":"array","items":"Order"}', "AVRO", [SchemaReference("Order", "order", 1)])
    schema_id = client.register_schema("basket", basket)
    assert client.get_schema(schema_id).references == [SchemaReference("Order", "order", 1)]


def test_an_avro_message_there_and_back(client: SchemaRegistryClient) -> None:
    serialize = AvroSerializer(client, ORDER.schema_str)
    deserialize = AvroDeserializer(client)
    assert deserialize(serialize({"id": 7}, VALUE), VALUE) == {"id": 7}


def test_protobuf_as_the_serializer_sends_it_and_the_deserializer_wants_it(
    client: SchemaRegistryClient,
) -> None:
    """Which is as a FileDescriptorProto in base64."""
    sent = base64.b64encode(Timestamp.DESCRIPTOR.file.serialized_pb).decode()
    schema_id = client.register_schema("stamps-value", Schema(sent, "PROTOBUF"))
    assert client.get_schema(schema_id) == Schema(sent, "PROTOBUF")
    text_id = client.register_schema("texts-value", Schema('syntax = "proto3"; message A {}', "PROTOBUF"))
    binary = client.get_schema(text_id, fmt="serialized").schema_str or ""
    assert FileDescriptorProto.FromString(base64.b64decode(binary)).message_type[0].name == "A"


def test_a_token_as_basic_password(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("registry"), token="secret") as registry:
        with (
            SchemaRegistryClient({"url": registry.url}) as stranger,
            pytest.raises(SchemaRegistryError, match="401"),
        ):
            stranger.register_schema("orders-value", ORDER)
        given = {"url": registry.url, "basic.auth.user.info": "any:secret"}
        with SchemaRegistryClient(given) as known:
            assert known.register_schema("orders-value", ORDER) == 1


def test_normalized_lookup(registry: Asked, client: SchemaRegistryClient) -> None:
    schema_id = client.register_schema("orders-value", ORDER)
    turned = Schema(json.dumps(dict(reversed(record("id:long").items()))))
    assert client.register_schema("orders-value", turned, normalize_schemas=True) == schema_id
    assert registry.get("/subjects/orders-value/versions") == [1]
