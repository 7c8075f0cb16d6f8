// Alerts, silences and nodes. A panel without anything to show says why, and what would change that.

import { fill } from "./panels.js";
import { count, duration, known, latency, plural, timeOfDay, visible } from "./text.js";

const byId = (id) => document.getElementById(id);
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** The time of day, and the day where that is another. */
function moment(text) {
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? timeOfDay(at) : `${day.format(at)}, ${timeOfDay(at)}`;
}

const matchers = (labels) => Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(", ");

function alerts({ summary, over }) {
  const firing = summary.alerts.map((one) => [
    visible(one.rule), one.silenced_by.length ? "silenced" : "firing", one.severity,
    visible(one.summary), moment(one.fired_at ?? one.since),
  ]);
  const gone = over.map((one) => [visible(one.rule), "resolved", one.severity, visible(one.summary), moment(one.resolved_at ?? one.since)]);
  const empty = summary.rules
    ? `None of ${plural(summary.rules, "rule")} fires, and none has lately.`
    : "No alert rules are configured: write [[alert]] into the configuration, docs/operating.md shows some.";
  fill(byId("active"), [...firing, ...gone], { empty, numeric: [4], state: 1, columns: 5 });
  const counts = [`${count(summary.firing)} firing`, `${count(summary.pending)} pending`, plural(summary.rules, "rule")];
  const troubled = summary.notifiers.filter((one) => one.last_error);
  const said = troubled.map((one) => `Notifier ${one.name} fails: ${one.last_error}.`);
  byId("alert-counts").textContent = [`${counts.join(", ")}.`, ...said].map(visible).join(" ");
}

function silences(list) {
  const rows = list.map((one) => [visible(matchers(one.matchers)), visible(one.author), visible(one.comment), moment(one.until)]);
  fill(byId("silences"), rows, { empty: "No silence is in force.", numeric: [3], columns: 4 });
}

function nodes({ summary, nodes: list }) {
  const rows = list.map((one) => [
    visible(one.node), visible(one.service), one.state, `${duration(one.silent_seconds)} ago`,
    known(one.interval_seconds) ? duration(one.interval_seconds) : "–",
    `${one.clock_skew_seconds < 0 ? "−" : "+"}${latency(Math.abs(one.clock_skew_seconds))}`,
    visible(one.version) || "–",
  ]);
  const empty = "No node has sent a heartbeat: a record with kind \"heartbeat\" is one, and the client library sends them by itself.";
  fill(byId("nodes"), rows, { empty, numeric: [3, 4, 5], state: 2, columns: 7 });
  const { ok, late, failed } = summary.nodes;
  const more = ok + late + failed - list.length;
  const parts = [`${count(failed)} failed`, `${count(late)} late`, `${count(ok)} ok`, ...(more > 0 ? [`${count(more)} more at /api/nodes`] : [])];
  byId("node-counts").textContent = ok + late + failed ? `${parts.join(", ")}.` : "";
}

/** `watched` is null where the daemon has no place for alerts. */
export function showAlerts(watched) {
  if (!watched) {
    for (const [id, columns] of [["active", 5], ["silences", 4], ["nodes", 7]]) {
      fill(byId(id), [], { empty: "This process keeps no alerts.", columns });
    }
    return;
  }
  alerts(watched);
  silences(watched.silences);
  nodes(watched);
}
