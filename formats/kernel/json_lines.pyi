from collections.abc import Iterable

_Summed = tuple[list[int], bytes, bytes, list[bytes], set[str]]

class Names:
    def __init__(self, names: Iterable[str]) -> None: ...

def enrich(
    block: bytes, opening: bytes, absent: Names, with_spans: bool
) -> tuple[bytes, int, _Summed, bytes, bytes] | None: ...
