"""Judging in a process of its own: verdicts, and schemas made to take for ever."""

from __future__ import annotations

import json

import msgspec
import pytest

from ingestd.registry import judge
from ingestd.registry.errors import SchemaError
from ingestd.registry.judge import Case, Document
from ingestd.registry.parsed import Source
from tests.registry.asked import record

OLD = Document(json.dumps(record("id:int")), [])
NEW = Document(json.dumps(record("id:long")), [])


def test_each_direction_by_itself() -> None:
    reads = judge.judge(Case("AVRO", NEW, [OLD, NEW], reads=True))
    assert reads.conflicts == [[], []]
    assert json.loads(reads.text) == json.loads(NEW.text)
    is_read = judge.judge(Case("AVRO", NEW, [OLD, NEW], is_read=True)).conflicts
    assert [len(reasons) for reasons in is_read] == [1, 0]
    assert is_read[0][0].startswith("cannot read this: type_mismatch at /fields/0/type")


def test_the_same_as_in_this_process() -> None:
    case = Case("JSON", Document('{"$ref":"a"}', [Source("a", "true")]), [Document("{}", [])], True, True)
    assert judge.judge(case) == msgspec.structs.replace(judge.find(case), light=True)


def test_a_json_schema_is_tried_out_and_kept_whatever_comes_of_it() -> None:
    """By this one, judging any record doubles with each of sixty references."""
    doubling = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(60)
    }
    bomb = {"$ref": "#/$defs/a0", "$defs": {**doubling, "a60": {"type": "object"}}}
    verdict = judge.judge(Case("JSON", Document(json.dumps(bomb), [])))
    assert json.loads(verdict.text) == bomb
    assert not verdict.light


def test_what_is_no_schema() -> None:
    with pytest.raises(SchemaError, match="not JSON"):
        judge.judge(Case("AVRO", Document("{", [])))


def quadratic(branches: int) -> Document:
    """A union that takes the library minutes to compare with itself."""
    return Document(
        json.dumps([{"type": "record", "name": f"R{number}", "fields": []} for number in range(branches)]), []
    )


def test_what_would_take_minutes_is_given_up_after_its_cpu_time() -> None:
    case = Case("AVRO", quadratic(3000), [quadratic(3000)], reads=True, cpu_s=1)
    with pytest.raises(SchemaError, match=r"cannot be judged within 1 s and 2048 MiB; make it simpler"):
        judge.judge(case)


def test_what_gets_no_cpu_time_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "TIMEOUT_S", 0.2)
    with pytest.raises(SchemaError, match="cannot be judged within"):
        judge.judge(Case("AVRO", quadratic(3000), [quadratic(3000)], reads=True))
