"""What can go wrong for a user of the client, as few kinds as there are different things to do about it.

`ConfigurationError` and `RecordError` are the caller's mistakes, `SpoolError` is the spool folder's, `SpoolFullError`
says wait or drop, `RefusedError` and `FencedError` come from the other side. Anything else is a bug.
"""


class ClientError(Exception):
    """The base of them all; `str()` says what is wrong and what to do."""


class ConfigurationError(ClientError):
    """An option that makes no sense."""


class RecordError(ClientError):
    """A record or block that cannot be sent in this format, or is larger than a batch may be. It was not taken."""


class SpoolError(ClientError):
    """The spool folder cannot be used: in use by another process, not writable, or not a spool."""


class SpoolFullError(ClientError):
    """`block_timeout_s` passed and the spool still had no room. The record was not taken."""


class RefusedError(ClientError):
    """No server takes what we send, and waiting does not mend it: a token, a certificate, a key of the header.

    Nothing is lost: it stays in the spool, and the client tries again now and then.
    """


class FencedError(ClientError):
    """Another process sends under this client id. The client has stopped; what was not acknowledged is in the spool."""


class ClosedError(ClientError):
    """The client was closed before, or this process is a fork of the one that made it."""
