from formats.kernel.avro_program import Program

_Summed = tuple[list[int], bytes, bytes, list[bytes], set[str]]

def encode(
    data: bytes, records: int, program: Program, closing: bytes, with_spans: bool
) -> tuple[bytes, int, _Summed, bytes, bytes] | None: ...
