"""An open dashboard, and all that went wrong in it: errors, and requests to other machines."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.daemon import PATIENCE_S, Daemon

PATIENCE_MS = PATIENCE_S * 1000

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


class Watching:
    """The page of a daemon, in a context of its own. As a context manager it must have ended without a complaint."""

    def __init__(self, browser: Browser, daemon: Daemon, **options: Any) -> None:
        self.daemon = daemon
        self.url = f"http://127.0.0.1:{daemon.http[1]}/"
        self.complaints: list[str] = []
        self._context = browser.new_context(**{"viewport": DESKTOP} | options)
        self._context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: self._look(request.url))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")

    def _look(self, url: str) -> None:
        if not url.startswith(self.url):
            self.complaints.append(f"asked {urlsplit(url).netloc or url[:40]}")

    def open(self) -> Page:
        """The page with its first numbers in it."""
        self.page.goto(self.url)
        self.wait_for_state("well", "attention", "critical")
        return self.page

    def wait_for_state(self, *states: str) -> None:
        wanted = ", ".join(f'#state[data-state="{state}"]' for state in states)
        expect(self.page.locator(wanted)).to_have_count(1, timeout=PATIENCE_MS)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def number(self, selector: str) -> float:
        """The first number of an element's text."""
        return float(self.text(selector).split()[0].replace(",", ""))

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for `condition`, while the page goes on."""
        waited_ms = 0.0
        while not condition():
            assert waited_ms < PATIENCE_MS, f"waited for {what}"
            self.page.wait_for_timeout(100)
            waited_ms += 100

    def assert_usable(self) -> None:
        """axe-core finds nothing that keeps people from using the page as it is now."""
        found = Axe().run(self.page).response["violations"]
        grave = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in grave] == []

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self._context.close()
        if kind is None:
            assert self.complaints == []
