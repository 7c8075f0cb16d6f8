from collections.abc import Mapping

_Summed = tuple[list[int], bytes, bytes, list[bytes], set[str]]

class Added:
    def __init__(self, sizes: Mapping[str, int]) -> None: ...

def encode(
    block: bytes,
    number: int,
    service: bytes,
    received_at: bytes,
    rest: bytes,
    added: Added,
    with_spans: bool,
) -> tuple[bytes, int, _Summed, bytes, bytes] | None: ...
