// Records of strangers, shown as text: every field of a stored line, and refused bytes as they came.

import { visible } from "./text.js";

const CORE = ["timestamp", "level", "service", "message"];
const ENRICHMENT = new Set([
  "hostname", "environment", "app_version", "container_id", "pod_name", "source_ip", "format", "received_at",
]);

// A number keeps its digits where the browser can (JSON.rawJSON): 2^53 + 1 is not to be shown as 2^53.
function parse(line) {
  return JSON.parse(line, (_, value, context) =>
    typeof value === "number" && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value,
  );
}

const shown = (value) => visible(typeof value === "string" ? value : JSON.stringify(value));

function element(name, text, className = "") {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fields(pairs, caption) {
  const list = element("dl", undefined, "fields");
  if (caption) list.setAttribute("aria-label", caption);
  for (const [name, value] of pairs) {
    const row = element("div");
    row.append(element("dt", visible(name)), element("dd", shown(value)));
    list.append(row);
  }
  return list;
}

function record(line) {
  let parsed;
  try {
    parsed = parse(line);
  } catch {
    const cut = element("p", `${visible(line)}…`, "raw");
    return [element("p", "Cut at 4 KiB, as it is stored:", "sub"), cut];
  }
  const entries = Object.entries(parsed);
  const core = CORE.filter((name) => Object.hasOwn(parsed, name)).map((name) => [name, parsed[name]]);
  const rest = entries.filter(([name]) => !CORE.includes(name));
  const made = [fields(core, "the record")];
  const own = rest.filter(([name]) => !ENRICHMENT.has(name));
  const added = rest.filter(([name]) => ENRICHMENT.has(name));
  if (own.length) made.push(element("h4", "Further fields"), fields(own, "further fields"));
  if (added.length) made.push(element("h4", "Enrichment"), fields(added, "enrichment"));
  return made;
}

/** One card per format. A card that is pointed at or holds the selection stays as it is, to be read. */
export class Samples {
  #cards = new Map();
  #place = document.getElementById("samples");

  show(samples) {
    const formats = Object.keys(samples).sort();
    if (formats.length === 0) {
      this.#cards.clear();
      this.#place.replaceChildren(element("p", "No record has come yet: the first of each format is shown here.", "card empty"));
      return;
    }
    if (this.#cards.size === 0) this.#place.replaceChildren();
    for (const format of formats) this.#one(format, samples[format]);
  }

  #one(format, line) {
    let card = this.#cards.get(format);
    if (!card) {
      const article = element("article", undefined, "card record");
      const body = element("div");
      article.append(element("h3", format), body);
      article.dataset.format = format;
      article.setAttribute("aria-label", `a recent ${format} record`);
      card = { article, body, line: null };
      this.#cards.set(format, card);
      this.#place.append(article);
    }
    const selection = document.getSelection();
    const held = card.article.matches(":hover") || (selection && !selection.isCollapsed && card.article.contains(selection.anchorNode));
    if (card.line === line || (held && card.line !== null)) return;
    card.line = line;
    card.body.replaceChildren(...record(line));
  }
}

/** Recent refused records of one reason, asked for when somebody wants to see them. */
export class Examples {
  #panel = document.getElementById("examples");
  #title = document.getElementById("examples-title");
  #list = document.getElementById("examples-list");
  #opener = null;

  constructor() {
    document.getElementById("examples-close").addEventListener("click", () => this.close());
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  async open(reason, opener) {
    this.#opener = opener;
    this.#title.textContent = `Recent records refused as ${reason.replaceAll("_", " ")}`;
    this.#list.replaceChildren(element("p", "Asking…", "empty"));
    this.#panel.hidden = false;
    this.#panel.focus();
    try {
      const response = await fetch(`api/rejects?reason=${encodeURIComponent(reason)}`);
      const told = await response.json();
      if (!response.ok) throw new Error(told.error);
      this.#show(told.examples);
    } catch (error) {
      this.#list.replaceChildren(element("p", `No answer: ${error.message}`, "empty"));
    }
  }

  close() {
    this.#panel.hidden = true;
    this.#opener?.focus();
  }

  #show(examples) {
    if (examples.length === 0) {
      const text = "None was seen since the page's process started. All that were kept are in data_dir/rejects_*.jsonl.zst.";
      this.#list.replaceChildren(element("p", text, "empty"));
      return;
    }
    this.#list.replaceChildren(
      ...examples.map((one) => {
        const item = element("article", undefined, "example");
        item.append(
          element("p", visible(one.detail)),
          element("p", visible(one.data), "raw"),
          element("p", [one.time, `${one.format} over ${one.transport}`, `from ${one.source}`].map(visible).join(" · "), "sub"),
        );
        return item;
      }),
    );
  }
}
