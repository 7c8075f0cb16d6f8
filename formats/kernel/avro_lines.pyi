from formats.cores import Wanted
from formats.kernel.avro_program import Program
from formats.kernel.made import MadeFields

def encode(
    data: bytes, records: int, program: Program, closing: bytes, wanted: Wanted
) -> MadeFields | None: ...
