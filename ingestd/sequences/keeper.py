"""Keeps the table of clients small and its checkpoint fresh, from whichever worker finds that due.

Every worker runs a keeper; `Sequences.checkpoint_due` lets one of them through each time. Files are written on a
thread, so a slow disk delays no record.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from ingestd.ratelog import RateLog
from ingestd.sequences import checkpoint
from ingestd.sequences.table import Sequences
from ingestd.stats import Slot, index

#: Between two checkpoints; a start after a crash reads the segments of so long.
CHECKPOINT_S: Final = 30
_LOOK_S: Final = 5.0

_FORGOTTEN: Final = index("ingestd_clients_forgotten_total")
_ERRORS: Final = index("ingestd_checkpoint_errors_total")

log = RateLog(logging.getLogger("ingestd.sequences"))


class Keeper:
    """`run` until cancelled, on the event loop of a worker."""

    def __init__(
        self, sequences: Sequences, state_dir: Path, data_dir: Path, ttl_s: float, slot: Slot
    ) -> None:
        self._sequences = sequences
        self._state_dir = state_dir
        self._data_dir = data_dir
        self._ttl_s = ttl_s
        self._slot = slot

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._sequences.checkpoint_due(int(time.monotonic()), CHECKPOINT_S):
                await self.keep()

    async def keep(self) -> None:
        """Forget whoever was unseen for too long, and write a checkpoint."""
        self._slot.add(_FORGOTTEN, self._sequences.forget(int(time.time() - self._ttl_s)))
        try:
            await asyncio.to_thread(checkpoint.save, self._sequences, self._state_dir, self._data_dir)
        except OSError as error:
            self._slot.add(_ERRORS)
            log.error("checkpoint", "cannot write %s: %s", self._state_dir / checkpoint.FILE, error.strerror)
