"""A real browser, Debian's Chromium, driven by Playwright; a test that has none skips and says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

#: Pictures of the dashboard as the tests saw it, to be looked at.
SCREENSHOTS = Path(__file__).parent.parent.parent / "build/screenshots"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module: while Playwright runs, its thread has a running event loop, which other tests must not have."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not here (Debian package chromium)")
    # Its own sandbox needs user namespaces, or a helper that root may not use; it opens nothing but our page.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=options)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
