"""What every notifier is."""

from __future__ import annotations

from typing import Protocol

from ingestd.alerts.notices import Notice


class DeliveryError(Exception):
    """A notice was not delivered; `str()` says why and holds no secret.

    `permanent`: it was refused for what it is, and will be again.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Sender(Protocol):
    """One way to tell."""

    async def deliver(self, notice: Notice) -> None:
        """Try once, for as long as the caller lets it. Raises `DeliveryError` or `OSError`."""
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...
