"""The rules for Prometheus and the dashboard for Grafana: both parse, and ask only for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from ingestd.sidecar import SIDECAR_METRICS
from ingestd.stats import METRICS
from tests.sidecar.test_exposition import find_promtool

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "conf/prometheus/ingestd.rules.yml"
RULE_TESTS = ROOT / "tests/data/prometheus/ingestd.test.yml"
DASHBOARD = json.loads((ROOT / "conf/grafana/ingestd.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

LABELS = {metric.name: {*metric.labels, "job", "instance"} for metric in (*METRICS, *SIDECAR_METRICS)}
LABELS |= {
    f"{metric.name}_{part}": LABELS[metric.name] | labels
    for metric in METRICS
    if metric.kind == "histogram"
    for part, labels in (("bucket", {"le"}), ("count", set()), ("sum", set()))
}


@pytest.fixture(scope="module")
def promtool() -> str:
    found = find_promtool()
    if found is None:
        pytest.skip("promtool is not here (Debian package prometheus)")
    return found


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of the rules and of the dashboard, its variables filled in as Grafana would."""
    for number, rule in enumerate(re.split(r"\n *- alert: ", RULES.read_text(encoding="utf-8"))[1:]):
        found = re.search(r"expr: (?:>-\n(?P<folded>(?: {10}.*\n)+)|(?P<plain>.*))", rule)
        assert found is not None
        yield f"rule {number} {rule.split()[0]}", " ".join((found["folded"] or found["plain"]).split())
    asked = [(panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", [])]
    asked += [(one["name"], one["expr"]) for one in DASHBOARD["annotations"]["list"]]
    for title, expression in asked:
        yield (
            title,
            expression.replace("$__rate_interval", "1m").replace("$job", "a").replace("$instance", ".*"),
        )


def test_the_rules_fire_when_they_should(promtool: str, tmp_path: Path) -> None:
    for path in (RULES, RULE_TESTS):
        shutil.copy(path, tmp_path)
    assert "SUCCESS" in run(promtool, "check", "rules", RULES.name, folder=tmp_path)
    assert "SUCCESS" in run(promtool, "test", "rules", RULE_TESTS.name, folder=tmp_path)


def test_every_rule_is_tested_both_ways() -> None:
    names = set(re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8")))
    tests = RULE_TESTS.read_text(encoding="utf-8")
    assert names == set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", tests))
    assert names == set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tests))


def test_every_expression_parses(promtool: str, tmp_path: Path) -> None:
    rules = [
        f"      - {{record: 'a:{number}', expr: {json.dumps(expression)}}}"
        for number, (_, expression) in enumerate(expressions())
    ]
    assert len(rules) > 40
    rules_file = "groups:\n  - name: a\n    rules:\n" + "\n".join(rules) + "\n"
    (tmp_path / "all.yml").write_text(re.sub(r"'a:(\d+)'", r"'a:b\1'", rules_file))
    assert f"{len(rules)} rules found" in run(promtool, "check", "rules", "all.yml", folder=tmp_path)


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_and_label_exists(where: str, expression: str) -> None:
    names = set(re.findall(r"\bingestd_\w+", expression))
    assert names or "up{" in expression, where
    assert names - LABELS.keys() == set()
    labels = {label for name in names for label in LABELS[name]}
    for grouping in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in grouping.split(",")} <= labels


def test_legends_name_labels_that_the_expression_keeps() -> None:
    for panel in PANELS:
        for target in panel.get("targets", []):
            grouping = re.search(r"\bby \(([^)]*)\)", target["expr"])
            if grouping:
                named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                assert named == {label.strip() for label in grouping[1].split(",")} - {"le"}


def test_the_dashboard_is_laid_out_without_overlaps() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) > 20
    cells = {panel["title"]: panel["gridPos"] for panel in PANELS}
    assert len(cells) == len(PANELS), "each title stands once"
    for (title, one), (other_title, other) in combinations(cells.items(), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, f"{title} and {other_title} overlap"
    assert all(cell["x"] + cell["w"] <= 24 for cell in cells.values())
