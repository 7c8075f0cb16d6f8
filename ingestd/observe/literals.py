"""Plain texts within patterns: what every match has in it, which is told sooner than whether there is a match."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

#: How a pattern with a text that it always matches begins; the fewest characters that are worth to be looked for.
_PLAIN: Final = re.compile(r"(?P<flag>(?:\(\?i\))?)(?P<text>[A-Za-z0-9 _:;,=/@%-]+)")
_LEAST_LITERAL: Final = 3

_FLAG: Final = "(?i)"

#: What may hide a choice, or take a bar for a character.
_NESTED: Final = re.compile(r"[()\[\]\\]")

#: Pairs of bytes that are in many lines of logs, those in the most of them first: of a dozen logs, 15,000 lines.
_COMMON_TEXT: Final = (
    "inederle20ngst i00: g onnetitaestenffo srealrolo:2gi0 ecse23t cort02el:1ge:0:3acnske14 p15enlio il64"
    "05at21 1d passdeni:4me10pr46 l04ioanemorarce-050llshit:5111:3-ppptame pemovempnd  sima oriicom0,5:ct"
    "unad t09013606im2207 - rnt4:raet33 a fggfa- 3,8008ckidoa 0opas c55-1s 9 2451258670m pi32og d 248nn68"
    "16 /85422 x813rs4462oc18ddag h1 1,6  ech195445565 pltohaaybeepivccl9sc72ebn rn6_6:datt27ai_6lasltu17"
)
_COMMON: Final = [_COMMON_TEXT[at : at + 2] for at in range(0, len(_COMMON_TEXT), 2)]
_OFTEN: Final = Counter("".join(_COMMON))

#: Letters that without regard to case are others, too, which are not ASCII: the long s and the sign of the kelvin.
_FOLDED: Final = re.compile("[ks]")


def literal_of(pattern: str) -> str:
    """A text that is in every match, in front of it its flag if it has one; empty where none is worth it.

    To the engine such a text is worth more than the pattern, of which it may expand what follows. It looks for the last
    characters of a text, so these are none that end every word.
    """
    plain = _PLAIN.match(pattern)
    if plain is None or "|" in pattern:
        return ""
    is_optional = pattern[plain.end() :].startswith(("?", "*", "{"))
    text = plain["text"][: -1 if is_optional else None].rstrip()
    return plain["flag"] + text if len(text) >= _LEAST_LITERAL else ""


def pairs_of(patterns: Sequence[str]) -> bytes:
    """Pairs of bytes, one behind the other: each text with a match of any of the patterns has one, in whatever case.

    They are in lower case, and expected to be in few other texts. Empty: of one of the patterns none is known.
    """
    literals = [literal_of(choice) for pattern in patterns for choice in _choices(pattern)]
    pairs = dict.fromkeys(map(_pair_of, literals))
    return b"".join(pairs) if all(pairs) else b""


def _choices(pattern: str) -> list[str]:
    """The patterns that this one is a choice of; those within brackets are left together."""
    if _NESTED.search(pattern.removeprefix(_FLAG)):
        return [pattern]
    flag = _FLAG if pattern.startswith(_FLAG) else ""
    return [flag + choice for choice in pattern.removeprefix(_FLAG).split("|")]


def _pair_of(literal: str) -> bytes:
    text = literal.removeprefix(_FLAG).lower()
    pairs = ["".join(pair) for pair in pairwise(text)]
    if literal.startswith(_FLAG):
        pairs = [pair for pair in pairs if not _FOLDED.search(pair)]
    return max(pairs, key=_rarity, default="").encode()


def _rarity(pair: str) -> int:
    """Where the pair is not known, its bytes tell."""
    return _COMMON.index(pair) if pair in _COMMON else len(_COMMON) * 2 - sum(_OFTEN[byte] for byte in pair)
