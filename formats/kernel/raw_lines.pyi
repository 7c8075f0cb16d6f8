_Summed = tuple[list[int], bytes, bytes, list[bytes], set[str]]

def encode(
    block: bytes,
    received_at: bytes,
    service: bytes,
    service_json: bytes,
    prefix: bytes,
    prefix_with_pid: bytes,
    with_spans: bool,
) -> tuple[bytes, int, _Summed, bytes, bytes] | None: ...
