"""Blocks that are looked at together, and those of a batch that is not received yet."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import pytest

from formats import FORMATS
from formats.cores import ALL_COLUMNS, ALL_LEVELS, NOTHING, Wanted, bits_of
from formats.record import Encoded, Enrichment
from ingestd.observe.condition import Condition
from ingestd.observe.sight import Rules, Sight
from ingestd.stats import Board
from tests.observe.made import RECEIVED_AT, Observed, Record, block, errors, record

RULES = (Condition("errors", "ERROR"), Condition("full", pattern="no space left"))


#: What blocks are decoded with: what the rules ask for, and once more all columns, and no search.
_wanted = Rules(RULES).wanted


@pytest.fixture(params=[_wanted, ALL_COLUMNS], ids=["as wanted", "all"], autouse=True)
def _columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "_wanted", request.param)


def encoded(records: Iterable[Record]) -> Encoded:
    context = Enrichment({}).at(RECEIVED_AT, "unknown", _wanted)
    (made,) = FORMATS["json"].encode(block(records), context)
    return made


def sight() -> Sight:
    return Sight(Rules(RULES), Board(1).slot(0))


def found(seen: Sight) -> dict[tuple[str, str], int]:
    return {(match.rule, match.service): match.count for match in seen.take_matches()}


def test_small_blocks_are_one_look() -> None:
    seen = sight()
    for number in range(300):
        service = f"service-{number % 3}"
        seen.add(encoded([record(service=service), *errors(2, [service]), record(message="no space left")]))
    wanted = {("errors", f"service-{number}"): 200 for number in range(3)}
    assert found(seen) == wanted | {("full", "api"): 300}
    assert found(seen) == {}


def test_samples_are_of_the_right_records() -> None:
    seen = sight()
    for number in range(50):
        seen.add(encoded([record(service=f"s{number}", message=f"{number}")] * 3))
        seen.add(encoded([record(service=f"s{number}", message=f"no space left {number}")]))
    matches = seen.take_matches()
    assert len(matches) == 50
    for match in matches:
        assert f'"message":"no space left {match.service[1:]}"' in match.sample


def test_few_long_records_do_not_wait_for_many() -> None:
    """Else some hundred records of a megabyte each would be held."""
    seen = sight()
    held = []
    for _ in range(60):
        held.append(encoded([record("ERROR", message="x" * 300_000)]))
        seen.add(held[-1])
        assert max(seen._new.nbytes, seen._kept.nbytes) < 1 << 23


def test_what_was_gathered_is_let_go() -> None:
    for rules in (RULES, []):
        seen, made = Sight(Rules(rules), Board(1).slot(0)), encoded(errors(5, ["api"]))
        assert len(made.columns) == 5 or made.kept is not None
        seen.add(made)
        seen.take_matches()
        assert (len(made.columns), made.kept) == (0, None)


def test_a_match_everywhere_has_its_service_and_its_line() -> None:
    """Though there are no columns of its level: its line is decoded."""
    seen = sight()
    for number in range(20):
        quiet = [record(service=f"s{other}", message=f'{other} "quoted"') for other in range(200)]
        loud = record("DEBUG", f"s{number}", f'no space left, says "{number}"')
        seen.add(encoded([*quiet[:number], loud, *quiet[number:]]))
    matches = {match.service: match for match in seen.take_matches()}
    assert {service: match.count for service, match in matches.items()} == {f"s{n}": 1 for n in range(20)}
    for service, match in matches.items():
        stored = json.loads(match.sample)
        assert (stored["level"], stored["service"]) == ("DEBUG", service)
        assert stored["message"] == f'no space left, says "{service[1:]}"'


def test_all_columns_are_wanted_in_a_storm() -> None:
    """Else each record of a storm would be decoded."""
    rules = Rules(RULES)
    seen = Sight(rules, Board(1).slot(0))
    search, pairs = rules.everywhere.searching(), rules.everywhere.pairs
    assert pairs
    assert rules.wanted == Wanted(counted=bits_of({"ERROR", "FATAL"}), search=search, pairs=pairs)
    for _ in range(10):
        seen.add(encoded([record(message="no space left")] * 1000))
    assert rules.wanted == ALL_COLUMNS
    (match,) = seen.take_matches()
    assert match.count == 10_000


def test_rules_want_no_more_than_they_look_at() -> None:
    errors = bits_of({"ERROR", "FATAL"})
    for rule, wanted in (
        (Condition("service", service="api"), Wanted(counted=ALL_LEVELS)),
        (Condition("level", "ERROR"), Wanted(counted=errors)),
        (Condition("pattern", "ERROR", pattern="x"), Wanted(errors)),
        (Condition("pattern", "ERROR", 'a"b', pattern="x"), Wanted(of_services={b'a\\"b': errors})),
        (Condition("pattern", service="api", pattern="x"), Wanted(of_services={b"api": ALL_LEVELS})),
        (Condition("field", field="user", pattern="x"), ALL_COLUMNS),
        (Condition("likely", "ERROR", pattern="xyz"), Wanted(likely={b"": errors}, likely_pairs=b"yz")),
        (
            Condition("likely", "ERROR", "api", pattern="xyz"),
            Wanted(likely={b"api": errors}, likely_pairs=b"yz"),
        ),
        (Condition("field", "ERROR", field="user", pattern="xyz"), Wanted(errors)),
    ):
        assert Rules([rule]).wanted == wanted
    both = Rules([Condition("any", "ERROR", pattern="x"), Condition("likely", "ERROR", "api", pattern="xyz")])
    assert both.wanted == Wanted(errors, likely={b"api": errors}, likely_pairs=b"yz")
    rules = Rules([Condition("pattern", pattern="x")])
    assert rules.wanted == Wanted(search=rules.everywhere.searching())
    two = Rules([Condition("one", pattern="one"), Condition("two", "TRACE", pattern="two")]).wanted.search
    assert two is not None
    assert [two(memoryview(text)) for text in (b"one\n", b"two\n", b"three\n")] == [True, True, False]
    assert Rules([]).wanted == NOTHING


@pytest.mark.parametrize("pattern", ["", "declined", "[d]eclined"])
def test_a_service_that_first_says_what_nobody_asks_for(pattern: str) -> None:
    observed = Observed(Condition("of api", "ERROR", "api", pattern=pattern))
    quiet, loud = [record(service=name) for name in ("db", "api", "web")], errors(2, ["web", "api", "db"])
    observed.take(block([*quiet, *loud, record("ERROR", "api", "declined")]))
    observed.flush()
    assert observed.counts == {("of api", "api"): 1 if pattern else 2}


def test_a_batch_is_told_when_it_is_received() -> None:
    observed = Observed(*RULES)
    given_up, received = observed.observer.sight(), observed.observer.sight()
    for batch in (given_up, received):
        batch.add(encoded([*errors(3, ["api", "db"]), record(message="no space left")]))
    observed.take(block(errors(1, ["api"])))
    observed.observer.take_in(received)
    observed.flush()
    assert observed.counts == {("errors", "api"): 3, ("errors", "db"): 1, ("full", "api"): 1}
    assert observed.services == {"api": 4, "db": 1}
    assert all(match.sample for match in observed.matches)


def test_a_batch_takes_no_sample_that_is_there() -> None:
    before = sight()
    before.add(encoded([*errors(40_000, ["api"]), record(message="no space left")]))
    before.take_matches()
    batch = Sight(Rules(RULES), Board(1).slot(0), before)
    batch.add(encoded([*errors(40_000, ["api", "db"]), record(message="no space left")]))
    samples = {(match.rule, match.service): match.sample for match in batch.take_matches()}
    assert samples["errors", "api"] == samples["full", "api"] == ""
    assert samples["errors", "db"]


def test_samples_of_thousands_of_services_are_theirs() -> None:
    seen = sight()
    for part in range(3):
        records = [
            record("ERROR", f"s{number}", f"no space left {number}") for number in range(part, 3000, 3)
        ]
        seen.add(encoded(records))
    for match in seen.take_matches():
        if match.sample:
            stored = json.loads(match.sample)
            assert stored["service"] == match.service
            assert stored["message"] == f"no space left {match.service[1:]}"
