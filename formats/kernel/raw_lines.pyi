from formats.cores import Search
from formats.kernel.made import MadeFields

def encode(
    block: bytes,
    received_at: bytes,
    service: bytes,
    service_json: bytes,
    prefix: bytes,
    prefix_with_pid: bytes,
    wanted: int,
    search: Search | None,
) -> MadeFields | None: ...
