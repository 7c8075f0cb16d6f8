"""The live page: it needs nothing from elsewhere, sets data as text only, and its parts fit together."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.sidecar.served import Served


class Elements(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def ids(self) -> set[str]:
        return {attributes["id"] or "" for _, attributes in self.found if "id" in attributes}


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")],
)
def test_the_files_of_the_page_are_served_and_name_no_other_place(
    served: Served, path: str, content_type: str
) -> None:
    answer = served.get(path)
    assert answer.headers["Content-Type"] == f"{content_type}; charset=utf-8"
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", answer.text)


def test_the_page_has_nothing_inline_that_its_policy_forbids(served: Served) -> None:
    elements = Elements(served.get("/").text)
    for tag, attributes in elements.found:
        assert tag != "style"
        assert tag != "script" or attributes.get("src") == "page.js"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_data_is_set_as_text_only(served: Served) -> None:
    script = served.get("/page.js").text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script
    )


def test_every_element_that_the_script_writes_to_exists(served: Served) -> None:
    script = served.get("/page.js").text
    texts = re.search(r"const texts = \{\n(.*?)\n  \};", script, re.DOTALL)
    assert texts is not None
    written = {*re.findall(r'byId\("(\w+)"\)', script), *re.findall(r"^    (\w+):", texts[1], re.MULTILINE)}
    totals = set(served.get("/api/stats").json()["totals"])
    assert written | totals <= Elements(served.get("/").text).ids()


def test_every_field_that_the_script_reads_is_in_the_statistics(served: Served) -> None:
    script, stats = served.get("/page.js").text, served.get("/api/stats").json()
    fields = set(re.findall(r"\bstats\.(\w+)", script))
    assert fields
    assert fields <= stats.keys()
    assert set(re.findall(r"\bw\.(\w+)", script)) <= stats["workers"][0].keys()
