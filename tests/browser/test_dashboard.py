"""The dashboard in a real browser, over a real daemon under load."""

from __future__ import annotations

import json
import re
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from ingestd.tokens import make_token
from ingestd.visible import HIDDEN, visible
from tests.browser.conftest import SCREENSHOTS
from tests.browser.load import FORMATS, HOSTILE, RATE, hostile_record, under_load
from tests.browser.watching import DESKTOP, PATIENCE_MS, PHONE, Watching
from tests.daemon import Daemon, wait_for
from tests.e2e.reloading import reload

pytestmark = pytest.mark.slow

#: What the page shows of text that acts, hides or turns text around; as ingestd.visible says it in a terminal.
ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\u2028\ufeff\U000e0041]")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with under_load(tmp_path_factory.mktemp("watched")) as started:
        yield started


@pytest.fixture
def watching(browser: Browser, daemon: Daemon) -> Iterator[Watching]:
    with Watching(browser, daemon) as opened:
        yield opened


def test_its_numbers_move_and_agree_with_the_statistics(watching: Watching) -> None:
    before = watching.number("#received")
    watching.wait_until(lambda: watching.number("#received") > before + RATE, "records to be counted")
    earlier = watching.daemon.stats()["totals"]
    page = {side: watching.number(f"#{side}") for side in ("received", "written", "rejected", "dropped")}
    later = watching.daemon.stats()["totals"]
    for side, shown in page.items():
        least = earlier[side] - 2 * RATE if side in ("received", "written") else earlier[side]
        assert least <= shown <= later[side], "at most a second or so behind"
    watching.wait_until(
        lambda: abs(watching.number("#received_rate") - RATE) < 0.2 * RATE, "the rate that is sent"
    )
    watching.wait_until(lambda: watching.number("#written_rate") > 0.5 * RATE, "records on disk")
    for selector in ("#in_rate", "#out_rate", "#p50", "#p99", "#free", "#ratio", "#connections"):
        assert watching.number(selector) > 0


def test_every_panel_has_data(watching: Watching) -> None:
    rows = {"#by-format": len(FORMATS), "#by-transport": 1, "#by-level": 4, "#by-service": 5, "#by-source": 1}
    rows |= {"#processes": 2, "#reasons": 3, "#settings": 40, "#nodes": 1}
    for selector, least in rows.items():
        found = watching.page.locator(f"{selector} tr:not(.empty)")
        watching.wait_until(
            lambda found=found, least=least: found.count() >= least, f"{least} rows in {selector}"
        )
    assert set(watching.page.locator("#samples h3").all_inner_texts()) == set(FORMATS)
    for name in ("environment", "app_version", "source_ip", "received_at", "hostname"):
        assert watching.page.locator(f'#samples [data-format="json"] dt:text-is("{name}")').count() == 1
    drawn = re.compile(r"over the last 15 minutes\. .*now ")
    for chart in watching.page.locator(".chart").all():
        expect(chart).to_have_attribute("aria-label", drawn, timeout=PATIENCE_MS)
    assert "127.0.0.1" in watching.text("#doors")
    assert re.match(r"web1\s+shop\s+ok\s+.* ago\s+1 h\s", watching.text("#nodes tr"))
    assert watching.text("#silences") == "No silence is in force."
    assert "2 rules" in watching.text("#alert-counts"), "ours, and node-failed"


def test_history_survives_a_reload_of_the_page(watching: Watching) -> None:
    def points() -> int:
        told = json.loads(watching.daemon.get("/api/history?resolution=1s"))
        return len(told["time"])

    watching.wait_until(lambda: points() >= 5, "some seconds")
    watching.page.reload()
    watching.wait_for_state("well", "attention", "critical")
    label = watching.page.locator("#chart-records")
    expect(label).to_have_attribute("aria-label", re.compile(r"received: now [1-9]"), timeout=PATIENCE_MS)
    for button, words in (("2 h", "2 hours"), ("24 h", "24 hours"), ("15 min", "15 minutes")):
        watching.page.get_by_role("button", name=button, exact=True).click()
        expect(label).to_have_attribute(
            "aria-label", re.compile(f"over the last {words}"), timeout=PATIENCE_MS
        )


def test_examples_of_a_reason_are_a_click_away(watching: Watching) -> None:
    button = watching.page.get_by_role("button", name="Examples of invalid level")
    button.focus()
    watching.page.keyboard.press("Enter")
    expect(watching.page.locator("#examples-list")).to_contain_text("LOUD", timeout=PATIENCE_MS)
    expect(watching.page.locator("#examples")).to_be_focused()
    watching.assert_usable()
    watching.page.keyboard.press("Escape")
    expect(watching.page.locator("#examples")).to_be_hidden()
    expect(button).to_be_focused()


def test_an_alert_appears_and_resolves(watching: Watching) -> None:
    page = watching.page
    record = {"level": "ERROR", "service": "payments", "message": "card <b>declined</b>"}
    watching.daemon.send(b"INGEST/1 json\n" + json.dumps(record).encode() + b"\n")
    watching.wait_for_state("critical")
    assert watching.text("#headline") == "Alert: payment-failed"
    row = page.locator("#active tr")
    expect(row).to_contain_text(re.compile(r"payment-failed\s*firing\s*critical\s*payments: 1 declined"))
    assert page.title().startswith("✖")
    page.screenshot(path=SCREENSHOTS / "dashboard-alert.png")
    watching.assert_usable()
    watching.wait_for_state("well", "attention")
    expect(row).to_contain_text("resolved", timeout=PATIENCE_MS)


def test_the_configuration_can_be_searched(watching: Watching) -> None:
    page = watching.page
    page.get_by_label("Filter").fill("enrich.environment")
    row = page.locator("#settings tr")
    expect(row).to_have_count(1)
    assert row.inner_text().split("\t")[:3] == ["enrich.environment", '"test"', '""']
    page.get_by_label("Filter").fill("no such key")
    expect(row).to_have_text("No such key.")


@pytest.mark.parametrize("kind", HOSTILE)
def test_records_of_strangers_stay_text(browser: Browser, tmp_path: Path, kind: str) -> None:
    line, text = hostile_record(kind), HOSTILE[kind]
    with Daemon(tmp_path / "daemon", **{"server.workers": 1}) as daemon:
        daemon.send(
            b"INGEST/1 json\n" + line + b"\n" + line[:-1] + b"\n"
        )  # the second is no JSON and refused
        wait_for(lambda: "json" in daemon.stats()["samples"], "the sample")
        with Watching(browser, daemon) as watching:
            page = watching.page
            expect(page.locator("#samples article")).to_be_visible(timeout=PATIENCE_MS)
            assert _plain(page.locator("#samples").inner_text()).count(_plain(text)) == 4, (
                "message, service, field"
            )
            page.get_by_role("button", name="Examples of invalid json").click()
            expect(page.locator("#examples .example").first).to_be_visible(timeout=PATIENCE_MS)
            assert not ESCAPED.search(page.locator("body").inner_text())
            assert page.locator("img, iframe, main script").count() == 0
            assert "owned" not in page.title()


def _plain(text: str) -> str:
    """Without white space and escapes, which the page may break lines at and makes of hidden characters."""
    return re.sub(r"\s|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}", "", ESCAPED.sub("", text))


def test_what_is_escaped_is_the_same_as_in_a_terminal(watching: Watching) -> None:
    changed = watching.page.evaluate("""async () => {
        const { visible } = await import("/dashboard/text.js");
        const changed = {};
        for (let number = 0; number <= 0x10ffff; number += 1) {
            const character = String.fromCodePoint(number);
            if (visible(character) !== character) changed[number] = visible(character);
        }
        return changed;
    }""")
    expected = {str(number): visible(chr(number)) for number in range(0x110000) if HIDDEN.match(chr(number))}
    assert changed == expected


def test_a_daemon_that_is_gone_is_noticed_and_so_is_its_return(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "daemon"
    daemon = Daemon(folder, **{"server.workers": 1}).start()
    watching = Watching(browser, daemon)
    try:
        watching.open()
        assert daemon.stop() == 0
        watching.wait_for_state("lost")
        assert "No answer" in watching.text("#headline")
        assert watching.page.title().startswith("✖")
        watching.assert_usable()
        daemon.settings["http.port"] = daemon.http[1]
        daemon.start()
        watching.wait_for_state("well", "attention")
    finally:
        daemon.stop()


def test_a_tab_that_nobody_sees_listens_no_more(watching: Watching) -> None:
    def look_away(hidden: bool) -> None:
        watching.page.evaluate(
            """(hidden) => {
                Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    look_away(True)
    still = watching.text("#received")
    moved = watching.daemon.stats()["totals"]["received"] + 5 * RATE
    wait_for(lambda: watching.daemon.stats()["totals"]["received"] > moved, "more records")
    assert watching.text("#received") == still
    assert watching.page.locator("#state").get_attribute("data-state") != "lost", "nothing is amiss"
    look_away(False)
    watching.wait_until(lambda: watching.number("#received") > moved, "the numbers to move again")


def test_what_is_read_aloud_is_only_what_matters(watching: Watching) -> None:
    page = watching.page
    page.evaluate("""() => {
        window.told = [];
        const live = [...document.querySelectorAll("[role=status], [aria-live]")];
        const options = { childList: true, characterData: true, subtree: true };
        for (const one of live) new MutationObserver(() => told.push(one.textContent)).observe(one, options);
    }""")
    before = watching.number("#received")
    watching.wait_until(lambda: watching.number("#received") > before + 3 * RATE, "some seconds")
    assert page.evaluate("told") == []


def test_with_a_token_the_browser_asks_its_reader_once(browser: Browser, tmp_path: Path) -> None:
    secret, line = make_token("people")
    (tmp_path / "tokens").write_text(line)
    with Daemon(tmp_path / "daemon", **{"http.tokens_file": tmp_path / "tokens"}) as daemon:
        credentials = {"username": "anybody", "password": secret}
        with Watching(browser, daemon, http_credentials=credentials) as watching:
            expect(watching.page.locator("#processes tr")).to_have_count(2)
            settings = watching.page.locator("#settings")
            expect(settings).to_contain_text("http.tokens_file", timeout=PATIENCE_MS)
            assert secret not in watching.page.content()


def test_a_reload_of_the_daemon_is_no_alarm(browser: Browser, tmp_path: Path) -> None:
    with Daemon(tmp_path / "daemon", **{"server.workers": 1}) as daemon:
        watching = Watching(browser, daemon)
        page = watching.open()
        page.evaluate("""() => {
            window.states = [];
            const state = document.getElementById("state");
            new MutationObserver(() => states.push(state.dataset.state)).observe(state, { attributes: true });
        }""")
        (tmp_path / "daemon/ingestd.toml").write_text("[segment]\nlevel = 2\n")
        reload(daemon, "applied")
        watching.wait_until(
            lambda: "2" in watching.text("#settings tr:has-text('segment.level') td:nth-child(2)"),
            "the new configuration",
        )
        assert "lost" not in page.evaluate("states")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_how_it_looks(
    browser: Browser, daemon: Daemon, screenshots: Path, scheme: str, size: dict[str, int]
) -> None:
    with Watching(browser, daemon, viewport=size, color_scheme=scheme, reduced_motion="reduce") as watching:
        page = watching.page
        watching.wait_until(lambda: watching.number("#received_rate") > 0, "a rate")
        expect(page.locator("#samples article")).to_have_count(len(FORMATS), timeout=PATIENCE_MS)
        page.wait_for_timeout(1500)  # some more points, for the eye
        page.screenshot(path=screenshots / f"dashboard-{size['width']}-{scheme}.png", full_page=True)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width == size["width"], "nothing is wider than the window"
        for card in page.locator(".card:visible").all():
            box = card.bounding_box()
            assert box is not None
            assert 0 <= box["x"] <= box["x"] + box["width"] <= size["width"]
        watching.assert_usable()


def test_the_theme_is_kept(watching: Watching) -> None:
    page = watching.page

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = paper()
    for theme in ("light", "dark"):
        page.get_by_role("button", name=re.compile("Theme")).click()
        expect(page.locator("#theme")).to_have_text(f"Theme: {theme}")
    dark = paper()
    assert dark != light
    page.reload()
    expect(page.locator("#theme")).to_have_text("Theme: dark")
    assert paper() == dark


def test_a_chart_is_read_by_keyboard(watching: Watching) -> None:
    chart = watching.page.locator("#chart-records")
    watching.wait_until(lambda: "now" in (chart.get_attribute("aria-label") or ""), "a chart")
    chart.focus()
    chart.press("End")
    readout = watching.page.locator("#chart-records + .readout")
    expect(readout).to_contain_text(re.compile(r"received [\d,]+"), timeout=PATIENCE_MS)
    chart.press("ArrowLeft")
    expect(readout).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))


def test_bad_questions_get_a_reason(daemon: Daemon) -> None:
    for path, names in (
        ("/api/history", "resolution is missing; it must be one of 1s, 10s, 1m"),
        ("/api/history?resolution=<b>", "resolution is '<b>'"),
        ("/api/rejects?reason=nothing", "reason is 'nothing'; it must be one of invalid_json"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            daemon.get(path)
        with refused.value as answer:
            assert answer.code == 400
            assert names in json.loads(answer.read())["error"]
