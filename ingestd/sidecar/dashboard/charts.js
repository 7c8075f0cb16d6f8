// The past, drawn. One set of columns for all charts; each draws some of them, all share the time axis and the cursor.
//
// A chart is a canvas, so it says in words what it shows: its label is brought up to date with the ranges in it, and with the
// arrow keys (or a pointer) a moment is chosen whose numbers stand below the chart.

import uPlot from "./vendor/uPlot/uPlot.esm.js";
import { brief, bytes, count, decimal, known, latency, speed, timeOfDay } from "./text.js";

const MB = 1e6;
/** A chart with fewer points is drawn as wide as if it had so many. */
const LEAST_POINTS = 30;
const HALF_LABEL_PX = 24;
/** Records reach the disk in bursts, one a flush; a line through single seconds would be a band. */
const BURSTS_S = 5;
const CHARTS = [
  {
    id: "records", name: "Records per second", value: speed, axis: brief,
    series: [
      { label: "received", column: "received_per_second", colour: "--in", fill: true },
      { label: "on disk", column: "written_per_second", colour: "--out", bursts: true },
    ],
  },
  {
    id: "volume", name: "Megabytes per second", value: (value) => `${decimal(value)} MB/s`, axis: brief, scale: 1 / MB,
    series: [
      { label: "in", column: "in_bytes_per_second", colour: "--in", fill: true },
      { label: "out", column: "out_bytes_per_second", colour: "--out", bursts: true },
    ],
  },
  {
    id: "latency", name: "Latency from receipt to disk", value: latency, axis: latency,
    series: [
      { label: "p99", column: "latency_p99_seconds", colour: "--in", fill: true },
      { label: "p50", column: "latency_p50_seconds", colour: "--out" },
    ],
  },
  {
    id: "queue", name: "Bytes queued for the disk", value: bytes, axis: bytes,
    series: [{ label: "queued", column: "queue_bytes", colour: "--in", fill: true }],
  },
  {
    id: "disk", name: "Free space", value: bytes, axis: bytes,
    series: [{ label: "free", column: "free_bytes", colour: "--in", fill: true }],
  },
  {
    id: "ratio", name: "Compression ratio", value: (value) => `${decimal(value)} : 1`, axis: brief,
    series: [{ label: "compression", column: "compression_ratio", colour: "--in", fill: true }],
  },
  {
    id: "connections", name: "Open connections", value: count, axis: brief,
    series: [{ label: "open", column: "connections", colour: "--in", fill: true }],
  },
  {
    id: "losses", name: "Records lost and refused per second", value: speed, axis: brief,
    series: [
      { label: "dropped", column: "dropped_per_second", colour: "--bad" },
      { label: "rejected", column: "rejected_per_second", colour: "--odd" },
      { label: "dropped by the kernel", column: "udp_kernel_drops_per_second", colour: "--bad", dash: [4, 3] },
    ],
  },
];

const hourAndMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** From 0 to a little above the highest value; to 1 where all is 0, so that nothing looks like something. */
const fromZero = (_, __, highest) => [0, known(highest) && highest > 0 ? highest * 1.12 : 1];

/** Times of day for an axis, with seconds where there is less than a minute between two; none that the edge would cut. */
function moments(ticks, [start, end], width) {
  const shown = ticks.length > 1 && ticks[1] - ticks[0] < 60 ? timeOfDay : (at) => hourAndMinute.format(at);
  const edge = end - ((end - start) * HALF_LABEL_PX) / width;
  return ticks.map((at) => (at > edge ? null : shown(at * 1000)));
}

/** Each value's mean with those before it, at most so many in all; what is not known stays so. */
function mean(values, most) {
  return values.map((value, at) => {
    if (!known(value)) return value;
    const near = values.slice(Math.max(0, at + 1 - most), at + 1).filter(known);
    return near.reduce((total, one) => total + one, 0) / near.length;
  });
}

class Chart {
  #plot = null;
  #data = null;

  constructor(definition, past) {
    this.definition = definition;
    this.past = past;
    this.place = document.getElementById(`chart-${definition.id}`);
    this.readout = document.createElement("p");
    this.readout.className = "readout";
    this.place.after(this.readout);
    this.place.tabIndex = 0;
    this.place.setAttribute("role", "img");
    this.place.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#resize()).observe(this.place);
  }

  /** Make it anew: colours and sizes are those of the style sheet now. */
  build() {
    this.#plot?.destroy();
    const { series, axis } = this.definition;
    const [soft, line] = [colourOf("--soft"), colourOf("--grid")];
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const common = { stroke: soft, font, ticks: { show: false }, grid: { stroke: line, width: 1 } };
    const scales = { x: { time: true, range: () => this.past.range() }, y: { range: fromZero } };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        padding: [8, 4, 0, 0],
        legend: { show: false },
        scales,
        cursor: { sync: { key: "time" }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
        axes: [
          { ...common, grid: { show: false }, size: 22, gap: 4, space: 70, values: (plot, ticks) => moments(ticks, this.past.range(), plot.width) },
          { ...common, size: 52, gap: 6, space: 34, values: (_, ticks) => ticks.map(axis) },
        ],
        series: [{}, ...series.map((one) => this.#series(one))],
        hooks: { setCursor: [(plot) => this.#read(plot.cursor.idx)] },
      },
      this.#data ?? [[], ...series.map(() => [])],
      this.place,
    );
  }

  #series({ label, colour, fill, dash }) {
    const stroke = colourOf(colour);
    return { label, stroke, width: 1.6, dash, fill: fill ? `${stroke}22` : undefined, points: { show: false } };
  }

  #size() {
    return { width: Math.max(120, this.place.clientWidth), height: Math.max(60, this.place.clientHeight) };
  }

  #resize() {
    const size = this.#size();
    if (this.#plot && (size.width !== this.#plot.width || size.height !== this.#plot.height)) this.#plot.setSize(size);
  }

  draw() {
    const { series, scale = 1 } = this.definition;
    const { time, columns } = this.past;
    const window = Math.max(1, Math.floor(BURSTS_S / this.past.step));
    this.#data = [
      time,
      ...series.map(({ column, bursts }) => {
        const values = bursts ? mean(columns[column], window) : columns[column];
        return values.map((value) => (known(value) ? value * scale : value));
      }),
    ];
    this.#plot.setData(this.#data);
    this.#read(this.#plot.cursor.idx);
    this.place.setAttribute("aria-label", this.#inWords());
  }

  #inWords() {
    const { name, series, value } = this.definition;
    const parts = series.map(({ label }, at) => {
      const values = this.#data[at + 1].filter(known);
      if (values.length === 0) return `${label}: nothing`;
      return `${label}: now ${value(values.at(-1))}, lowest ${value(Math.min(...values))}, highest ${value(Math.max(...values))}`;
    });
    return `${name} over the last ${this.past.spanInWords}. ${parts.join("; ")}. Arrow keys choose a moment.`;
  }

  /** What stands at a moment, or, without one, what the lines are. */
  #read(index) {
    const { series, value } = this.definition;
    const chosen = known(index) && known(this.#data?.[0][index]);
    const entries = series.map(({ label, colour }, at) => [label, colour, chosen ? value(this.#data[at + 1][index]) : ""]);
    this.readout.replaceChildren(
      ...entries.map(([label, colour, text]) => {
        const entry = document.createElement("span");
        entry.dataset.colour = colour.slice(2);
        entry.textContent = text ? `${label} ${text}` : label;
        return entry;
      }),
    );
    if (chosen) this.readout.append(timeOfDay(this.#data[0][index] * 1000));
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") this.#plot.setCursor({ left: -10, top: -10 });
    if (!(event.key in steps) || !this.#data?.[0].length) return;
    event.preventDefault();
    const last = this.#data[0].length - 1;
    const from = this.#plot.cursor.idx ?? last;
    const to = Math.min(last, Math.max(0, from + steps[event.key]));
    this.readout.setAttribute("role", "status");
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#data[0][to], "x"), top: 10 });
  }
}

/** The points of one resolution: as the daemon tells them, and then the newest of each second. */
export class Past {
  #resolution = "1s";
  #step = 1;
  #span = 900;
  #fetching = false;

  constructor() {
    this.#clear();
    this.charts = CHARTS.map((definition) => new Chart(definition, this));
    for (const chart of this.charts) chart.build();
  }

  #clear() {
    this.time = [];
    this.columns = Object.fromEntries(CHARTS.flatMap(({ series }) => series.map(({ column }) => [column, []])));
  }

  get step() {
    return this.#step;
  }

  get spanInWords() {
    return { "1s": "15 minutes", "10s": "2 hours", "1m": "24 hours" }[this.#resolution];
  }

  /** The whole span, or, while the daemon is young, from its first point on: there is nothing to see before. */
  range() {
    const end = this.time.at(-1) ?? Date.now() / 1000;
    const shortest = LEAST_POINTS * this.#step;
    return [Math.max(end - this.#span, Math.min(this.time[0] ?? end, end - shortest)), end];
  }

  restyle() {
    for (const chart of this.charts) chart.build();
    this.#draw();
  }

  async choose(resolution) {
    this.#resolution = resolution;
    await this.load();
  }

  /** All points of the ring, from the daemon. */
  async load() {
    const resolution = this.#resolution;
    this.#fetching = true;
    try {
      const response = await fetch(`api/history?resolution=${resolution}`);
      if (!response.ok || resolution !== this.#resolution) return;
      const told = await response.json();
      this.#step = told.step_seconds;
      this.#span = told.span_seconds;
      this.#clear();
      told.time.forEach((time, at) => this.#append(time, (column) => told[column][at]));
      this.#draw();
    } catch {
      // No daemon: the stream of events says so, and its return brings us back here.
    } finally {
      this.#fetching = false;
    }
  }

  /** The newest point of a second, if it is one of ours; where some were missed, they are asked for. */
  add(point) {
    if (!point || this.#fetching) return;
    const last = this.time.at(-1);
    if (known(last) && point.time <= last) return;
    if (this.#step === 1 && known(last) && point.time === last + 1) {
      this.#append(point.time, (column) => point[column]);
      this.#draw();
    } else if (!known(last) || point.time >= last + this.#step) {
      this.load();
    }
  }

  #append(time, valueOf) {
    const last = this.time.at(-1);
    if (known(last) && time > last + this.#step) this.#push(last + this.#step, () => null); // a line has a gap there
    this.#push(time, valueOf);
    const drop = this.time.findIndex((at) => at > time - this.#span);
    if (drop > 0) for (const column of [this.time, ...Object.values(this.columns)]) column.splice(0, drop);
  }

  #push(time, valueOf) {
    this.time.push(time);
    for (const [name, column] of Object.entries(this.columns)) column.push(valueOf(name));
  }

  #draw() {
    for (const chart of this.charts) chart.draw();
  }
}
