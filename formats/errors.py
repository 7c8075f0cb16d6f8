"""The two things that can be wrong with input, told apart by one question: can the stream go on?

A `FrameError` says that the boundary between records is lost, so the connection must be closed. A
`DecodeError` says that one record is bad; its neighbours are not touched. Nothing else is ever raised on
account of what a sender sent: any other exception is a bug of this package.
"""


class _InputError(Exception):
    """`reason` is one of `formats.record.REASONS`, fit for a metric's label; `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class FrameError(_InputError):
    """The boundary between records is lost: close the connection."""


class DecodeError(_InputError):
    """This record is bad: reject it and go on."""
