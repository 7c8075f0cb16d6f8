from formats.cores import Search
from formats.kernel.avro_program import Program
from formats.kernel.made import MadeFields

def encode(
    data: bytes, records: int, program: Program, closing: bytes, wanted: int, search: Search | None
) -> MadeFields | None: ...
