"""The files of the dashboard: they need nothing from elsewhere, set data as text only, and their parts fit together."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ingestd.sidecar import dashboard
from tests.sidecar.served import Served

FOLDER = Path(dashboard.__file__).parent
VENDOR = FOLDER / "vendor/uPlot"
SCRIPTS = sorted(FOLDER.glob("*.js"))
OWN = [*SCRIPTS, FOLDER / "style.css", FOLDER / "index.html"]


class Elements(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.found if attribute in attributes]


PAGE = Elements((FOLDER / "index.html").read_text(encoding="utf-8"))


def test_the_page_is_served_with_all_that_it_names(served: Served) -> None:
    assert served.get("/").headers["Content-Type"] == "text/html; charset=utf-8"
    named = [path for path in (*PAGE.values("src"), *PAGE.values("href")) if path.startswith("dashboard/")]
    assert len(named) >= 4
    for path in named:
        assert served.get(f"/{path}").status == 200
    for script in SCRIPTS:
        answer = served.get(f"/dashboard/{script.name}")
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        for imported in re.findall(r'from "\./([^"]+)"', answer.text):
            assert served.get(f"/dashboard/{imported}").status == 200


def test_a_file_that_the_browser_has_is_not_sent_again(served: Served) -> None:
    first = served.get("/dashboard/main.js")
    again = served.get("/dashboard/main.js", **{"If-None-Match": first.headers["Etag"]})
    assert (again.status, again.body) == (304, b"")
    assert served.get("/dashboard/main.js", **{"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_is_asked_of_another_machine(path: Path) -> None:
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", path.read_text(encoding="utf-8"))


def test_the_page_has_nothing_inline_that_its_policy_forbids() -> None:
    for tag, attributes in PAGE.found:
        assert tag != "style"
        assert tag != "script" or (attributes.get("src") or "").startswith("dashboard/")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("path", [*SCRIPTS, VENDOR / "uPlot.esm.js"], ids=lambda path: path.name)
def test_data_is_set_as_text_only(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.search(forbidden, path.read_text(encoding="utf-8"))


def test_every_element_that_a_script_names_exists_once() -> None:
    ids = PAGE.values("id")
    assert len(ids) == len(set(ids))
    named: set[str] = set()
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        named |= set(re.findall(r'(?:byId|getElementById)\("([\w-]+)"\)', text))
        for texts in re.findall(r"\bset\(\{\n(.*?)\n  \}\);", text, re.DOTALL):
            named |= set(re.findall(r"^    (\w+):", texts, re.MULTILINE))
    assert named - set(ids) == set()
    assert {link.removeprefix("#") for link in PAGE.values("href") if link.startswith("#")} <= set(ids)


def test_every_field_that_a_script_reads_is_in_the_statistics(served: Served) -> None:
    stats = served.get("/api/stats").json()
    text = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    fields = set(re.findall(r"\bstats\.(\w+)", text))
    assert len(fields) > 15
    assert fields - stats.keys() == set()


def test_what_is_vendored_is_what_its_version_file_says() -> None:
    said = dict(reversed(line.split()) for line in (VENDOR / "VERSION").read_text().splitlines()[3:])
    assert said.keys() == {path.name for path in VENDOR.iterdir()} - {"VERSION"}
    for name, digest in said.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
