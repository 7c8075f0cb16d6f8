from formats.cores import Wanted
from formats.kernel.made import MadeFields

def encode(
    block: bytes,
    received_at: bytes,
    service: bytes,
    service_json: bytes,
    prefix: bytes,
    prefix_with_pid: bytes,
    wanted: Wanted,
) -> MadeFields | None: ...
