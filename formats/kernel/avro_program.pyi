from collections.abc import Callable, Sequence

_Reader = Callable[[bytes, int], tuple[object, int]]
_Field = tuple[str, str, int, int, tuple[str, ...], _Reader]

class Program:
    def __init__(self, fields: Sequence[_Field]) -> None: ...
