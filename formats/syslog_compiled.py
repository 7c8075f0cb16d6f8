"""Syslog that most senders send, by a compiled kernel: RFC 5424, and RFC 3164 with a time and a host or a tag.

What repeats is rendered here, by what the way in Python renders it with: severities once and for all, what follows the
origin once a block, and each minute or second that is not in UTC. To be imported only where `kernel.COMPILED`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache, partial

from formats import syslog_times
from formats.kernel import made, syslog_clock, syslog_lines
from formats.record import Context, Encoded
from formats.syslog_message import PRI_NAMES, PRIS

#: A message read alone: its time, level, rendered severity, service, origin rendered from the service on, and text.
Told = tuple[str, str, bytes, str, bytes, str]

_severities = syslog_lines.Severities((severity.level, severity.rendered) for severity in PRIS.values())


def encode(block: bytes, context: Context, other: Callable[[bytes], Told | None]) -> Encoded | None:
    """Make records of a block; None if much in it is unusual, or nothing is there.

    `other` reads single messages that the kernel does not; None if one is not syslog at all.
    """
    carried = _carried(context.enrichment.keys)
    if carried is None:
        return None
    zone = context.enrichment.zone
    received = datetime.fromisoformat(context.received_at)
    clock = syslog_clock.Clock(
        partial(syslog_times.iso, zone=zone), partial(syslog_times.bsd, received=received, zone=zone)
    )
    rests = {
        names: b"," + context.prefix("syslog", names).removesuffix(b",") + b',"message":"'
        for names in set(carried)
    }
    around = syslog_lines.Surroundings(
        _severities, [rests[names] for names in carried], context.service, context.received_at, clock
    )
    return made.encoded("syslog", syslog_lines.take(block, around, other, context.wanted))


@lru_cache(64)
def _carried(keys: frozenset[str]) -> Sequence[frozenset[str]] | None:
    """The fields of the enrichment that messages carry, by which of hostname, procid and msgid they have.

    None where structured data might carry one as well.
    """
    if any(key.startswith("sd.") for key in keys):
        return None
    names = [(1, "hostname"), (2, "procid"), (4, "msgid")]
    return [keys & PRI_NAMES.union(name for bit, name in names if bit & have) for have in range(8)]
