// The present, in words and numbers. What comes from the daemon is only ever set as text, never as markup; rows are made
// once and then only their text changes, so a selection or a scroll position survives.

import { bytes, count, decimal, duration, known, latency, plural, speed, timeOfDay, visible, words } from "./text.js";

const byId = (id) => document.getElementById(id);
const sum = (object) => Object.values(object).reduce((total, value) => total + value, 0);
const LEVELS = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function set(texts) {
  for (const [id, text] of Object.entries(texts)) setText(byId(id), text);
}

/** Fills a tbody with rows of text. `numeric` are the indices of right-aligned columns, `state` that of a state. */
export function fill(body, rows, { empty, numeric = [], state = -1, columns }) {
  if (rows.length === 0) {
    if (body.rows.length !== 1 || body.rows[0].className !== "empty") {
      body.replaceChildren();
      const row = body.insertRow();
      row.className = "empty";
      row.insertCell().colSpan = columns;
    }
    setText(body.rows[0].cells[0], empty);
    return;
  }
  if (body.rows[0]?.className === "empty") body.replaceChildren();
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) {
    const row = body.insertRow();
    for (let column = 0; column < columns; column += 1) {
      const cell = row.insertCell();
      if (numeric.includes(column)) cell.className = "n";
      if (column === state) cell.className = "word";
    }
  }
  rows.forEach((texts, at) => {
    texts.forEach((text, column) => {
      const cell = body.rows[at].cells[column];
      setText(cell, text);
      if (column === state) cell.dataset.state = text;
    });
  });
}

/** A table of names, each with a bar as long as its share of the greatest. */
function bars(body, entries, show, empty) {
  if (entries.length === 0) {
    fill(body, [], { empty, columns: 3 });
    return;
  }
  if (body.rows[0]?.className === "empty") body.replaceChildren();
  while (body.rows.length > entries.length) body.deleteRow(-1);
  while (body.rows.length < entries.length) {
    const row = body.insertRow();
    row.insertCell();
    row.insertCell().append(document.createElement("i"));
    row.insertCell().className = "n";
  }
  const most = Math.max(...entries.map(([, value]) => value), Number.MIN_VALUE);
  entries.forEach(([name, value, kind = ""], at) => {
    const [label, bar, number] = body.rows[at].cells;
    setText(label, name);
    label.title = name;
    body.rows[at].dataset.kind = kind;
    bar.firstChild.style.width = `${Math.max(0.5, (100 * value) / most)}%`;
    setText(number, show(value));
  });
}

// Values within some 20 % of each other count as equal, so that rows do not change places every second.
const magnitude = (value) => Math.round(Math.log(Math.max(value, 1e-9)) / Math.log(1.2));
const steadily = (entries) => [...entries].sort(([name, a], [other, b]) => magnitude(b) - magnitude(a) || name.localeCompare(other));

/** An estimate: minutes are no part of one of hours. */
const about = (seconds) => `≈ ${duration(seconds < 7200 ? seconds : Math.round(seconds / 3600) * 3600)}`;
const byValue = (object) => Object.entries(object).sort(([, a], [, b]) => b - a);

function state(snapshot) {
  const { assessment } = snapshot;
  byId("state").dataset.state = assessment.state;
  set({ headline: assessment.headline, detail: assessment.detail });
  const list = byId("findings");
  const more = assessment.findings.length > 0;
  list.hidden = !more;
  const wanted = assessment.findings.map(({ severity, what, do: remedy, panel }) => ({ severity, what, remedy, panel }));
  if (list.dataset.shown === JSON.stringify(wanted)) return;
  list.dataset.shown = JSON.stringify(wanted);
  list.replaceChildren(
    ...wanted.map(({ severity, what, remedy, panel }) => {
      const item = document.createElement("li");
      item.dataset.severity = severity;
      const link = document.createElement("a");
      link.href = `#${panel}`;
      link.textContent = visible(what);
      item.append(link, ` ${visible(remedy)}`);
      return item;
    }),
  );
}

function traffic({ stats, recent, queue_limit_bytes: limit }) {
  const used = stats.data_dir_total_bytes ? 1 - stats.data_dir_free_bytes / stats.data_dir_total_bytes : null;
  set({
    received_rate: speed(stats.received_per_second),
    written_rate: speed(stats.logs_per_second),
    in_rate: decimal(stats.in_megabytes_per_second),
    out_rate: decimal(stats.out_megabytes_per_second),
    p50: latency(stats.latency_seconds.p50),
    p99: latency(stats.latency_seconds.p99),
    queue_bytes: limit ? `${bytes(stats.queue_bytes)} · ${count((100 * stats.queue_bytes) / limit)} %` : bytes(stats.queue_bytes),
    pauses: count(recent.pauses),
    free: bytes(stats.data_dir_free_bytes),
    free_label: known(used) ? `free, ${count(100 * used)} % used` : "free",
    full_in: known(stats.data_dir_full_in_seconds) ? about(stats.data_dir_full_in_seconds) : "not filling",
    full_label: known(stats.data_dir_full_in_seconds) ? "until it is full" : "in the last minutes",
    ratio: known(stats.compression_ratio) ? `${decimal(stats.compression_ratio)} : 1` : "–",
    connections: count(stats.connections.open),
    accepted: count(stats.connections.accepted),
  });
}

function kinds({ stats, services, services_estimated: estimated }) {
  const quiet = "Nothing in the last seconds.";
  bars(byId("by-format"), steadily(Object.entries(stats.format_received_per_second)), speed, quiet);
  bars(byId("by-transport"), steadily(Object.entries(stats.transport_received_per_second)), speed, quiet);
  const levels = stats.level_received_per_second;
  bars(byId("by-level"), LEVELS.filter((level) => levels[level]).map((level) => [level, levels[level], level]), speed, quiet);
  const top = services.map((one) => [one.service === "" ? "(all others)" : visible(one.service), one.per_second]);
  bars(byId("by-service"), steadily(top), speed, "No service in the last minute.");
  setText(byId("services-note"), estimated ? "over the last minute, estimated" : "over the last minute");
}

export function losses(snapshot) {
  const { stats, recent, examples } = snapshot;
  const rows = [];
  const add = (what, total, lately, kind) => {
    for (const [reason, value] of byValue(total)) {
      rows.push({ what, reason, texts: [what, words(reason), count(lately[reason] ?? 0), count(value)], kind, now: Boolean(lately[reason]) });
    }
  };
  add("dropped", stats.drops, recent.dropped, "bad");
  if (stats.udp.kernel_drops) {
    add("datagrams dropped", { "by the kernel, buffer full": stats.udp.kernel_drops }, { "by the kernel, buffer full": recent.udp_kernel_drops }, "bad");
  }
  add("disk operation failed", stats.write_errors, recent.write_errors, "bad");
  add("rejected", stats.rejects, recent.rejected, "odd");
  return rows.map((row) => ({ ...row, examples: row.what === "rejected" ? (examples[row.reason] ?? 0) : null }));
}

function reasons(snapshot, openExamples) {
  const body = byId("reasons");
  const rows = losses(snapshot);
  const options = { empty: "Nothing was dropped, rejected or failed since the daemon started.", numeric: [2, 3], columns: 5 };
  fill(body, rows.map(({ texts }) => [...texts]), options);
  rows.forEach((row, at) => {
    const line = body.rows[at];
    line.dataset.kind = row.now ? row.kind : "";
    const cell = line.cells[4];
    const wanted = row.examples === null ? "" : row.reason;
    if (cell.dataset.reason === wanted) return;
    cell.dataset.reason = wanted;
    cell.replaceChildren();
    if (!wanted) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Examples";
    button.setAttribute("aria-label", `Examples of ${words(wanted)}`);
    button.addEventListener("click", () => openExamples(wanted, button));
    cell.append(button);
  });
  set({
    ...Object.fromEntries(Object.entries(snapshot.stats.totals).map(([side, value]) => [side, count(value)])),
    dropped_recently: count(sum(snapshot.recent.dropped)),
    rejected_recently: count(sum(snapshot.recent.rejected)),
  });
}

// By pid, what was known at the answer before: load and rates are differences.
let before = new Map();

function workers({ stats, sources }) {
  const now = new Map();
  const rows = stats.workers.map((one) => {
    const was = before.get(one.pid);
    const reading = { cpu: one.cpu_seconds, up: one.uptime_seconds, received: one.totals.received };
    now.set(one.pid, reading);
    const elapsed = was && known(reading.up) && known(was.up) ? reading.up - was.up : 0;
    const load = elapsed > 0 ? `${count((100 * (reading.cpu - was.cpu)) / elapsed)} %` : "–";
    const rate = elapsed > 0 ? speed(Math.max(0, reading.received - was.received) / elapsed) : "–";
    return [
      String(one.worker), one.state, one.pid ? String(one.pid) : "–", load, bytes(one.resident_memory_bytes),
      count(one.connections), bytes(one.queue_bytes), rate,
      known(one.heartbeat_age_seconds) ? `${one.heartbeat_age_seconds.toFixed(1)} s ago` : "–", duration(one.uptime_seconds),
    ];
  });
  before = now;
  fill(byId("processes"), rows, { empty: "No worker.", numeric: [2, 3, 4, 5, 6, 7, 8, 9], state: 1, columns: 10 });
  const restarts = `${plural(stats.worker_restarts, "worker")} and ${plural(stats.sidecar_restarts, "page process")} replaced since the start`;
  setText(byId("restarts"), stats.worker_restarts + stats.sidecar_restarts ? `${restarts}.` : "No process was replaced since the start.");
  bars(byId("by-source"), steadily(sources.map((one) => [one.source, one.connections])), count, stats.connections.open ? "Who has opened them is not known yet." : "No connection is open.");
}

/** Everything that a snapshot says, but for charts, records and alerts. */
export function show(snapshot, openExamples) {
  const { stats } = snapshot;
  set({
    identity: `${stats.hostname} · version ${stats.version} · up ${duration(stats.uptime_seconds)}`,
    doors: `Listening: ${Object.entries(stats.listen).map(([door, address]) => `${door} ${address}`).join(", ")}`,
  });
  const sign = { well: "", attention: "! ", critical: "✖ " }[snapshot.assessment.state];
  document.title = `${sign}ingestd ${stats.hostname}`;
  state(snapshot);
  traffic(snapshot);
  kinds(snapshot);
  reasons(snapshot, openExamples);
  workers(snapshot);
}

/** No answer: what is on the page is the past. */
export function lose(since) {
  byId("state").dataset.state = "lost";
  set({
    headline: "No answer from ingestd",
    detail: since
      ? `The numbers below are from ${timeOfDay(since)}. Trying again each second.`
      : "There has been no answer yet. Trying again each second.",
  });
  byId("findings").hidden = true;
  document.title = "✖ ingestd: no answer";
}
