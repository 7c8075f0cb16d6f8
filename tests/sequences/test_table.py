"""The table of clients: one connection holds a client, what it took is decided once, and processes agree on it."""

from __future__ import annotations

import os

import pytest

from ingestd.sequences.table import Client, Sequences, TableFullError, is_client_id


def test_a_new_client_has_nothing(sequences: Sequences) -> None:
    claim = sequences.claim("a", 100)
    assert sequences.holds(claim)
    assert sequences.settled(claim) == 0
    assert len(sequences) == 1
    assert list(sequences.clients()) == [], "nothing of it is durable"


def test_what_is_taken_is_open_until_it_is_durable(sequences: Sequences) -> None:
    claim = sequences.claim("a", 100)
    assert sequences.take(claim, 7, 0)
    assert sequences.settled(claim) is None
    sequences.durable(claim.entry, 7, 200)
    assert sequences.settled(claim) == 7
    assert list(sequences.clients()) == [Client("a", 7, 200)]


def test_a_newer_claim_fences_the_older(sequences: Sequences) -> None:
    older = sequences.claim("a", 100)
    assert sequences.take(older, 1, 0)
    newer = sequences.claim("a", 101)
    assert not sequences.holds(older)
    assert not sequences.take(older, 2, 0)
    assert sequences.settled(newer) is None, "what the older had taken is on its way"
    sequences.durable(older.entry, 1, 102)
    assert sequences.settled(newer) == 1
    assert sequences.take(newer, 2, 1)


def test_clients_are_apart(sequences: Sequences) -> None:
    claims = {name: sequences.claim(name, 0) for name in map(str, range(40))}
    for name, claim in claims.items():
        assert sequences.take(claim, int(name) + 1, 0)
        sequences.durable(claim.entry, int(name) + 1, 0)
    assert {client.id: client.durable for client in sequences.clients()} == {str(n): n + 1 for n in range(40)}


@pytest.mark.parametrize(
    ("found", "last"), [({}, 3), ({"a": 4}, 4), ({"a": 5}, 5), ({"a": 2}, 3), ({"b": 9}, 3)]
)
def test_what_a_dead_worker_took_is_what_is_found_of_it(
    sequences: Sequences, found: dict[str, int], last: int
) -> None:
    claim = sequences.claim("a", 0)
    sequences.take(claim, 3, 1)
    sequences.durable(claim.entry, 3, 0)
    sequences.take(claim, 5, 1)
    assert sequences.orphans(0) == []
    orphans = sequences.orphans(1)
    assert orphans == [claim.entry]
    again = sequences.claim("a", 1)
    assert sequences.settled(again) is None
    sequences.settle(orphans, found)
    assert sequences.settled(again) == last


def test_unseen_clients_are_forgotten_but_for_what_is_on_its_way(sequences: Sequences) -> None:
    old, busy, fresh = (
        sequences.claim(name, seen) for name, seen in (("old", 10), ("busy", 10), ("fresh", 30))
    )
    sequences.take(busy, 1, 0)
    assert sequences.forget(unseen_since_s=20) == 1
    assert len(sequences) == 2
    assert not sequences.holds(old), "it would write into the place of another"
    assert not sequences.take(old, 1, 0)
    assert sequences.holds(busy)
    assert sequences.holds(fresh)
    assert sequences.settled(sequences.claim("old", 40)) == 0


def test_a_claim_does_not_fit_who_has_its_place_later(sequences: Sequences) -> None:
    forgotten = sequences.claim("a", 0)
    sequences.forget(unseen_since_s=1)
    place = sequences.claim("a", 2)
    assert place.entry == forgotten.entry
    assert not sequences.holds(forgotten)


def test_searches_go_on_behind_the_forgotten(sequences: Sequences) -> None:
    for name in map(str, range(48)):
        sequences.claim(name, int(name) % 2)
    sequences.forget(unseen_since_s=1)
    assert len(sequences) == 24
    for name in map(str, range(1, 48, 2)):
        sequences.claim(name, 5)
    assert len(sequences) == 24, "all are found again"


def test_a_full_table_refuses_new_clients_and_serves_the_known(sequences: Sequences) -> None:
    for number in range(48):  # three quarters
        sequences.claim(str(number), 0)
    with pytest.raises(TableFullError, match="48 clients already"):
        sequences.claim("one more", 0)
    with pytest.raises(TableFullError):
        sequences.restore(Client("one more", 1, 0))
    assert sequences.holds(sequences.claim("0", 1))


def test_the_highest_of_what_is_restored_holds(sequences: Sequences) -> None:
    for durable, seen_s in ((5, 10), (9, 5), (7, 20)):
        sequences.restore(Client("a", durable, seen_s))
    assert list(sequences.clients()) == [Client("a", 9, 20)]
    assert sequences.settled(sequences.claim("a", 30)) == 9


def test_one_process_of_all_finds_the_checkpoint_due(sequences: Sequences) -> None:
    assert sequences.checkpoint_due(100, 30)
    assert not sequences.checkpoint_due(129, 30)
    assert sequences.checkpoint_due(130, 30)


def test_many_processes_claim_and_take_at_once(sequences: Sequences) -> None:
    """Each claims all clients again and again. A take holds only against the newest claim, and none is lost."""
    rounds, names = 200, [f"client-{number}" for number in range(5)]
    children = []
    for owner in range(3):
        pid = os.fork()
        if not pid:
            taken = 0
            for _ in range(rounds):
                for name in names:
                    claim = sequences.claim(name, 0)
                    taken += sequences.take(claim, 1, owner) or not sequences.holds(claim)
            os._exit(0 if taken == rounds * len(names) else 1)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    assert len(sequences) == len(names), "no client has two places"
    assert [sequences.claim(name, 0).epoch for name in names] == [3 * rounds + 1] * len(names)


@pytest.mark.parametrize("text", ["a", "A-z_0.9:", "x" * 64])
def test_client_ids(text: str) -> None:
    assert is_client_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "ä", "a\n", "a/b", "\0"])
def test_what_is_no_client_id(text: str) -> None:
    assert not is_client_id(text)
