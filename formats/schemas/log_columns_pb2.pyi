from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LogColumns(_message.Message):
    __slots__ = ("timestamp", "level", "service", "message", "run", "seq", "filler")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    FILLER_FIELD_NUMBER: _ClassVar[int]
    timestamp: _containers.RepeatedScalarFieldContainer[str]
    level: _containers.RepeatedScalarFieldContainer[str]
    service: _containers.RepeatedScalarFieldContainer[str]
    message: _containers.RepeatedScalarFieldContainer[str]
    run: _containers.RepeatedScalarFieldContainer[str]
    seq: _containers.RepeatedScalarFieldContainer[int]
    filler: int
    def __init__(self, timestamp: _Optional[_Iterable[str]] = ..., level: _Optional[_Iterable[str]] = ..., service: _Optional[_Iterable[str]] = ..., message: _Optional[_Iterable[str]] = ..., run: _Optional[_Iterable[str]] = ..., seq: _Optional[_Iterable[int]] = ..., filler: _Optional[int] = ...) -> None: ...
