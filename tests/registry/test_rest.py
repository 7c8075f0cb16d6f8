"""The API over HTTP: what each question answers, each error it can meet, and who may write."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestd.registry import DATABASE
from tests.registry.asked import CONTENT_TYPE, Asked, record, serving

ORDER = record("id:long")
WIDER = record("id:long", 'note:string=""')
OTHER = record("id:string")
V1 = "/subjects/orders/versions"


def error(answer: Any) -> tuple[int, str]:
    return answer["error_code"], answer["message"]


def test_a_schema_from_registration_to_its_end(registry: Asked) -> None:
    assert registry.get("/subjects") == []
    assert registry.post(V1, ORDER)["id"] == 1
    assert registry.post(V1, WIDER)["id"] == 2
    assert registry.post(V1, ORDER)["id"] == 1, "it is a version already"
    assert registry.get("/subjects") == ["orders"]
    assert registry.get(V1) == [1, 2]
    latest = {"subject": "orders", "id": 2, "version": 2, "schema": json.dumps(WIDER, separators=(",", ":"))}
    assert registry.get(f"{V1}/latest") == registry.get(f"{V1}/2") == registry.get(f"{V1}/-1") == latest
    assert registry.get(f"{V1}/1/schema") == ORDER
    assert registry.get("/schemas/ids/1") == {"schema": json.dumps(ORDER, separators=(",", ":"))}
    assert registry.get("/schemas/ids/1/schema") == ORDER
    assert registry.get("/schemas/ids/2/subjects") == ["orders"]
    assert registry.get("/schemas/ids/2/versions") == [{"subject": "orders", "version": 2}]
    assert registry.post("/subjects/orders", ORDER)["version"] == 1
    assert registry.delete(f"{V1}/2") == 2
    assert registry.get(V1) == [1]
    assert registry.get(f"{V1}?deleted=true") == [1, 2]
    assert registry.delete("/subjects/orders") == [1]
    assert registry.get("/subjects") == []
    assert registry.get("/subjects?deleted=true") == ["orders"]
    assert registry.get("/schemas/ids/1/schema") == ORDER, "what was written with it can still be read"
    assert registry.delete("/subjects/orders?permanent=true") == [1, 2]
    assert error(registry.get("/schemas/ids/1")) == (40403, "Schema 1 not found")


def test_types(registry: Asked) -> None:
    assert registry.get("/schemas/types") == ["AVRO", "JSON", "PROTOBUF"]


def test_one_schema_has_one_id_under_all_subjects(registry: Asked) -> None:
    assert (
        registry.post("/subjects/a/versions", ORDER)["id"]
        == registry.post("/subjects/b/versions", ORDER)["id"]
    )
    assert registry.get("/schemas/ids/1/subjects") == ["a", "b"]


def test_white_space_does_not_count_and_the_order_of_keys_only_if_not_normalized(registry: Asked) -> None:
    turned = dict(reversed(ORDER.items()))
    assert registry.post(V1, json.dumps(ORDER, indent=4))["id"] == registry.post(V1, ORDER)["id"] == 1
    assert error(registry.post("/subjects/orders", turned)) == (40403, "Schema not found")
    assert registry.post("/subjects/orders?normalize=True", turned)["id"] == 1
    assert registry.post(f"{V1}?normalize=true", turned)["id"] == 1
    assert registry.post(V1, turned)["id"] == 2


def test_a_number_is_not_given_twice(registry: Asked) -> None:
    registry.post(V1, ORDER)
    registry.post(V1, WIDER)
    registry.delete(f"{V1}/2")
    assert registry.delete(f"{V1}/2?permanent=true") == 2
    registry.post("/subjects/other/versions", OTHER)
    assert registry.get("/schemas/ids/2")["error_code"] == 40403
    assert registry.get("/subjects/other/versions/1")["id"] == 3


@pytest.mark.parametrize(
    ("method", "path", "code", "message"),
    [
        ("GET", "/subjects/none/versions", 40401, "Subject 'none' not found."),
        ("GET", "/subjects/none/versions/1", 40401, "Subject 'none' not found."),
        ("DELETE", "/subjects/none", 40401, "Subject 'none' not found."),
        ("GET", f"{V1}/7", 40402, "Version 7 not found."),
        ("DELETE", f"{V1}/7", 40402, "Version 7 not found."),
        ("GET", "/schemas/ids/7", 40403, "Schema 7 not found"),
        ("GET", "/schemas/ids/7/versions", 40403, "Schema 7 not found"),
        (
            "DELETE",
            "/subjects/orders?permanent=true",
            40405,
            "was not deleted first before being permanently deleted",
        ),
        ("DELETE", f"{V1}/1?permanent=true", 40407, "was not deleted first before being permanently deleted"),
        ("GET", "/config/orders", 40408, "does not have subject-level compatibility configured"),
        ("GET", f"{V1}/first", 42202, "'first' is not a valid version id"),
        ("GET", f"{V1}/0", 42202, "'0' is not a valid version id"),
        ("GET", f"{V1}/2147483648", 42202, "'2147483648' is not a valid version id"),
        ("GET", "/subjects/orders/nothing", 404, "HTTP 404 Not Found"),
        ("GET", "/schemas/ids/x", 404, "HTTP 404 Not Found"),
        ("PATCH", "/subjects", 405, "HTTP 405 Method Not Allowed"),
    ],
)
def test_what_is_not_there(registry: Asked, method: str, path: str, code: int, message: str) -> None:
    registry.post(V1, ORDER)
    answer = registry.ask(method, path)
    assert answer.status == int(str(code)[:3])
    assert answer.headers["Content-Type"].startswith(CONTENT_TYPE)
    assert error(answer.json())[0] == code
    assert message in answer.json()["message"]


def test_deleting_twice(registry: Asked) -> None:
    registry.post(V1, ORDER)
    registry.delete(f"{V1}/1")
    assert registry.delete(f"{V1}/1")["error_code"] == 40406
    assert registry.delete("/subjects/orders")["error_code"] == 40404
    assert registry.delete(f"{V1}/1?permanent=true") == 1
    assert registry.delete(f"{V1}/1")["error_code"] == 40401


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{", 400, "The body is not what is asked for"),
        (b"[]", 400, "Expected `object`"),
        (b'{"schema":1}', 400, "Expected `str`"),
        (b'{"schema":"\xff"}', 400, "The body is not what is asked for"),
        (b"{}", 42201, "the body has no schema"),
        ({"schema": "{"}, 42201, "not JSON"),
        ({"schema": '"integer"'}, 42201, "Invalid schema"),
        (
            {"schema": "{}", "schemaType": "XML"},
            42201,
            "unknown schemaType 'XML', one of AVRO, JSON, PROTOBUF",
        ),
        ({"schema": '"int"', "metadata": {"properties": {}}}, 42201, "keeps no metadata"),
        (
            {"schema": '"int"', "references": [{"name": "x", "subject": "none", "version": 1}]},
            42201,
            "reference 'x': Subject 'none' not found.",
        ),
        ({"schema": "[" * 100_000}, 42201, "nested too deep"),
        ({"schema": '"\\ud800"'}, 42201, "a lone surrogate"),
        ({"schema": '{"type":1e999}'}, 42201, "cannot be written as JSON"),
    ],
)
def test_what_is_no_schema(registry: Asked, body: object, code: int, message: str) -> None:
    for path in (V1, "/compatibility/subjects/orders/versions/latest"):
        answer = registry.ask("POST", path, body)
        assert (answer.status, answer.json()["error_code"]) == (int(str(code)[:3]), code)
        assert message in answer.json()["message"]
        assert len(answer.body) < 1000
    assert registry.get("/subjects") == []


@pytest.mark.parametrize("subject", ["%00", "a%0Ab", "x" * 256])
def test_a_subject_is_printable_and_short(registry: Asked, subject: str) -> None:
    assert registry.post(f"/subjects/{subject}/versions", ORDER)["error_code"] == 42208


def test_a_subject_may_hold_a_slash(registry: Asked) -> None:
    assert registry.post("/subjects/team%2Forders%20%C3%BC/versions", ORDER)["id"] == 1
    assert registry.get("/subjects") == ["team/orders ü"]
    assert registry.get("/subjects?subjectPrefix=team/") == ["team/orders ü"]
    assert registry.get("/subjects?subjectPrefix=Team") == []


def test_a_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, max_body_bytes=2000) as registry:
        assert registry.ask("POST", V1, b" " * 3000).json()["error_code"] == 413
        assert registry.post(V1, ORDER)["id"] == 1


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_browser_cannot_be_made_to_write(registry: Asked, content_type: str) -> None:
    answer = registry.ask("POST", V1, {"schema": '"int"'}, Content_Type=content_type)
    assert (answer.status, answer.json()["error_code"]) == (415, 415)
    assert CONTENT_TYPE in answer.json()["message"]


def test_an_incompatible_schema_is_refused_and_the_reason_told(registry: Asked) -> None:
    registry.post(V1, ORDER)
    answer = registry.ask("POST", V1, {"schema": json.dumps(OTHER)})
    assert (answer.status, answer.json()["error_code"]) == (409, 409)
    assert 'incompatible with an earlier schema for subject "orders"' in answer.json()["message"]
    assert "/fields/0/type" in answer.json()["message"]
    path = "/compatibility/subjects/orders/versions"
    assert registry.post(f"{path}/latest", OTHER) == {"is_compatible": False}
    verbose = registry.post(f"{path}?verbose=true", OTHER)
    assert not verbose["is_compatible"]
    assert "type_mismatch at /fields/0/type" in verbose["messages"][0]
    assert registry.post(f"{path}/1?verbose=true", WIDER) == {"is_compatible": True, "messages": []}
    assert registry.post(f"{path}/9", WIDER)["error_code"] == 40402
    assert registry.post("/compatibility/subjects/none/versions/latest", OTHER) == {"is_compatible": True}
    assert registry.post("/compatibility/subjects/none/versions/1", OTHER)["error_code"] == 40401
    assert registry.post(V1, '{"type":"object"}', "JSON")["error_code"] == 409, "another kind of schema"


def test_levels(registry: Asked) -> None:
    assert registry.get("/config") == {"compatibilityLevel": "BACKWARD"}
    assert registry.ask("PUT", "/config", {"compatibility": "none"}).json() == {"compatibility": "NONE"}
    assert registry.ask("PUT", "/config/orders", {"compatibility": "FULL"}).json() == {
        "compatibility": "FULL"
    }
    assert registry.ask("PUT", "/config", {"compatibility": "SOME"}).json()["error_code"] == 42203
    assert registry.get("/config/orders") == {"compatibilityLevel": "FULL"}
    assert registry.get("/config/other?defaultToGlobal=true") == {"compatibilityLevel": "NONE"}
    assert registry.delete("/config/orders") == {"compatibilityLevel": "FULL"}
    assert registry.delete("/config/orders")["error_code"] == 40408
    assert registry.delete("/config") == {"compatibilityLevel": "NONE"}
    assert registry.get("/config") == {"compatibilityLevel": "BACKWARD"}


@pytest.mark.parametrize(
    ("level", "refused"),
    [
        ("NONE", set()),
        ("BACKWARD", {"needs b"}),
        ("BACKWARD_TRANSITIVE", {"needs b", "a as text"}),
        ("FORWARD", {"without a"}),
        ("FULL", {"needs b", "without a"}),
    ],
)
def test_what_each_level_refuses(registry: Asked, level: str, refused: set[str]) -> None:
    registry.ask("PUT", "/config/orders", {"compatibility": "NONE"})
    registry.post(V1, record("a:int"))
    registry.post(V1, record("c:int=1", "a:bytes"))
    registry.ask("PUT", "/config/orders", {"compatibility": level})
    proposed = {
        "needs b": record("c:int=1", "a:bytes", "b:int"),
        "without a": record("c:int=1"),
        "a as text": record("c:int=1", "a:string"),
    }
    path = "/compatibility/subjects/orders/versions"
    assert {
        name for name, each in proposed.items() if not registry.post(path, each)["is_compatible"]
    } == refused


def test_references(registry: Asked) -> None:
    registry.post("/subjects/order/versions", ORDER)
    refers = {"references": [{"name": "Order", "subject": "order", "version": 1}]}
    basket = {"type": "array", "items": "Order"}
    assert registry.post("/subjects/basket/versions", basket)["error_code"] == 42201
    assert registry.post("/subjects/basket/versions", basket, **refers)["id"] == 2
    assert registry.get("/schemas/ids/2")["references"] == refers["references"]
    assert registry.get("/subjects/order/versions/1/referencedby") == [2]
    assert registry.delete("/subjects/order")["error_code"] == 42206
    assert registry.delete("/subjects/order/versions/1")["error_code"] == 42206
    registry.delete("/subjects/basket")
    assert registry.delete("/subjects/order") == [1]
    assert registry.delete("/subjects/order?permanent=true")["error_code"] == 42206, (
        "the hidden one needs it still"
    )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with serving(tmp_path_factory.mktemp("guarded"), token="sécret") as asked:
        yield asked


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        ("Bearer", 401),
        ("Bearer other", 401),
        ("Basic !", 401),
        (basic("sécret", ""), 401),
        (basic("any", "other"), 401),
        ("Bearer sécret", 200),
        ("bearer  sécret", 200),
        (basic("any", "sécret"), 200),
    ],
)
def test_writing_needs_the_token(guarded: Asked, authorization: str, status: int) -> None:
    """It leaves the registry as it was."""
    header = authorization.encode().decode("latin-1")
    for method, path, body in (
        ("POST", V1, {"schema": json.dumps(ORDER)}),
        ("PUT", "/config", {"compatibility": "FULL"}),
        ("DELETE", "/config", None),
        ("DELETE", f"{V1}/latest", None),
        ("DELETE", "/subjects/orders?permanent=true", None),
    ):
        answer = guarded.ask(method, path, body, Authorization=header)
        assert answer.status == status
        if status == 401:
            assert answer.json()["error_code"] == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert guarded.ask("GET", "/subjects").status == 200
    assert guarded.post("/compatibility/subjects/orders/versions", ORDER) == {"is_compatible": True}


def test_what_was_registered_is_there_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as registry:
        registry.post(V1, ORDER)
    with serving(tmp_path) as registry:
        assert registry.get(f"{V1}/latest")["id"] == 1


def test_a_damaged_database_costs_the_registry_alone(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database" * 1000)
    with serving(tmp_path) as registry:
        answer = registry.ask("GET", "/subjects")
        assert (answer.status, answer.json()["error_code"]) == (500, 50001)
        assert registry.ask("GET", "/healthz").status == 200
        (tmp_path / DATABASE).unlink()
        assert registry.get("/subjects") == [], "put right without a restart"


def test_a_database_of_a_later_release_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DATABASE) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with serving(tmp_path) as registry:
        assert "later release" in registry.get("/subjects")["message"]


def test_other_paths_stay_the_sidecars(registry: Asked) -> None:
    assert registry.ask("GET", "/missing").text.startswith("404 ")
    assert registry.ask("GET", "/subjects", Host="evil.example.org").status == 421
