// The live page: asks /api/stats once a second and writes the answer into the document.
//
// What comes from the daemon is only ever set as text, never as markup. Rows are made once and then only their text
// changes, so a selection or a scroll position survives. A hidden tab asks nothing. When an answer does not come,
// the page says so, and since when, and fades what it last knew instead of showing it as the present.
"use strict";

const POLL_MS = 1000;
const PATIENCE_MS = 3000;

const byId = (id) => document.getElementById(id);
const known = (value) => value !== null && value !== undefined;

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const count = (value) => (known(value) ? whole.format(value) : "–");

function decimal(value, digits = 3) {
  if (!known(value)) return "–";
  if (value >= 1000) return whole.format(value);
  return value.toLocaleString("en", { maximumSignificantDigits: digits });
}

function bytes(value) {
  if (!known(value)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${decimal(value)} ${units[unit]}`;
}

function latency(seconds) {
  if (!known(seconds)) return "–";
  return seconds < 1 ? `${decimal(seconds * 1000)} ms` : `${decimal(seconds)} s`;
}

function duration(seconds) {
  if (!known(seconds)) return "–";
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} days`;
}

const sum = (object) => Object.values(object).reduce((total, value) => total + value, 0);
const words = (name) => name.replaceAll("_", " ");

// Fills a tbody with rows of text. `numeric` is the index of the first right-aligned column, `state` the index of
// a column that holds a state; data-empty on the tbody is what it says without rows.
function fill(body, rows, numeric, state = -1) {
  if (rows.length === 0) {
    if (body.dataset.columns !== "0") body.replaceChildren();
    body.dataset.columns = "0";
    const cell = body.rows.length ? body.rows[0].cells[0] : body.insertRow().insertCell();
    cell.colSpan = 20;
    cell.className = "empty";
    setText(cell, body.dataset.empty);
    return;
  }
  const columns = rows[0].length;
  if (body.dataset.columns !== String(columns)) body.replaceChildren();
  body.dataset.columns = String(columns);
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) {
    const row = body.insertRow();
    for (let column = 0; column < columns; column += 1) {
      const cell = row.insertCell();
      if (column >= numeric) cell.className = "n";
      if (column === state) cell.className = "state";
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

function losses(stats) {
  const rows = [];
  const add = (what, reasons) => {
    for (const [reason, value] of Object.entries(reasons)) rows.push([what, words(reason), count(value)]);
  };
  add("Records rejected", stats.rejects);
  add("Records dropped", stats.drops);
  if (stats.udp.kernel_drops) rows.push(["Datagrams dropped", "by the kernel, receive buffer full", count(stats.udp.kernel_drops)]);
  add("Failed on disk", stats.write_errors);
  if (stats.worker_restarts) rows.push(["Workers replaced", "died or hung", count(stats.worker_restarts)]);
  return rows;
}

function formats(stats) {
  const rows = [];
  for (const [format, transports] of Object.entries(stats.formats)) {
    for (const [transport, r] of Object.entries(transports)) {
      if (!r.received) continue;
      // The rate is that of the format over all transports: it stands in its first row.
      const first = !rows.some((row) => row[0] === format);
      const speed = first ? count(stats.format_received_per_second[format] ?? 0) : "";
      rows.push([format, transport, speed, ...[r.received, r.written, sum(r.rejected), sum(r.dropped), r.in_flight].map(count)]);
    }
  }
  return rows;
}

// The share of a core since the answer before, by pid.
let cpuBefore = new Map();

function workers(stats) {
  const cpuNow = new Map();
  const rows = stats.workers.map((w) => {
    let share = "–";
    if (known(w.cpu_seconds)) {
      cpuNow.set(w.pid, { cpu: w.cpu_seconds, up: w.uptime_seconds });
      const before = cpuBefore.get(w.pid);
      if (before && w.uptime_seconds > before.up) {
        share = `${count((100 * (w.cpu_seconds - before.cpu)) / (w.uptime_seconds - before.up))} %`;
      }
    }
    const t = w.totals;
    return [
      String(w.worker), w.state, w.pid ? String(w.pid) : "–", duration(w.uptime_seconds), share,
      bytes(w.resident_memory_bytes), count(w.connections), bytes(w.queue_bytes),
      ...[t.received, t.written, t.rejected, t.dropped].map(count),
    ];
  });
  cpuBefore = cpuNow;
  return rows;
}

function notice(element, text) {
  setText(element, text);
  element.hidden = !text;
}

function setState(state, text = state) {
  setText(byId("state"), text);
  byId("state").dataset.state = state;
}

function show(stats) {
  const texts = {
    identity: `${stats.version} on ${stats.hostname}, up ${duration(stats.uptime_seconds)}`,
    doors: Object.entries(stats.listen).map(([door, address]) => `${door} ${address}`).join(", "),
    written_rate: count(stats.logs_per_second),
    received_rate: count(stats.received_per_second),
    in_rate: decimal(stats.in_megabytes_per_second),
    out_rate: decimal(stats.out_megabytes_per_second),
    ratio: known(stats.compression_ratio) ? `${decimal(stats.compression_ratio)} : 1` : "–",
    p50: latency(stats.latency_seconds.p50),
    p99: latency(stats.latency_seconds.p99),
    queue: bytes(stats.queue_bytes),
    pauses: count(stats.backpressure_pauses),
    connections: count(stats.connections.open),
    accepted: count(stats.connections.accepted),
    free: bytes(stats.data_dir_free_bytes),
    rotations: count(stats.rotations),
    ...Object.fromEntries(Object.entries(stats.totals).map(([side, value]) => [side, count(value)])),
  };
  for (const [id, text] of Object.entries(texts)) setText(byId(id), text);
  setState(stats.state);
  document.title = `ingestd ${stats.hostname}`;
  notice(byId("faults"), Object.entries(stats.faults).map(([who, why]) => `${who}: ${why}`).join("; "));
  fill(byId("losses"), losses(stats), 2);
  fill(byId("formats"), formats(stats), 2);
  fill(byId("samples"), Object.entries(stats.samples), 2);
  fill(byId("workers"), workers(stats), 2, 1);
}

let lastAnswer = null;

async function ask() {
  const response = await fetch("api/stats", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

function lose(error) {
  const since = lastAnswer
    ? `The numbers below are from ${lastAnswer.toLocaleTimeString()}.`
    : "There has been no answer yet.";
  notice(byId("lost"), `No answer from ingestd (${error.message}). ${since} Trying again each second.`);
  notice(byId("faults"), "");
  setState("lost", "no answer");
  byId("numbers").classList.add("stale");
}

async function turn() {
  if (!document.hidden) {
    let stats = null;
    try {
      stats = await ask();
    } catch (error) {
      lose(error);
    }
    if (stats) {
      lastAnswer = new Date();
      notice(byId("lost"), "");
      byId("numbers").classList.remove("stale");
      show(stats);
    }
  }
  setTimeout(turn, POLL_MS);
}

turn();
