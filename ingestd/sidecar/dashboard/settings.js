// The configuration in force: a table to search in. It is asked for once per stream, since a reload starts another.

import { fill } from "./panels.js";
import { visible } from "./text.js";

export class Settings {
  #settings = [];
  #filter = document.getElementById("filter");
  #changed = document.getElementById("changed");

  constructor() {
    this.#filter.addEventListener("input", () => this.#show());
    this.#changed.addEventListener("change", () => this.#show());
  }

  async load() {
    try {
      const response = await fetch("api/config");
      if (response.ok) this.#settings = (await response.json()).settings;
    } catch {
      return; // no daemon: the page says so above
    }
    this.#show();
  }

  #show() {
    const wanted = this.#filter.value.trim().toLowerCase();
    const found = this.#settings.filter(
      ({ key, value, default: usual, what }) =>
        `${key} ${value} ${what}`.toLowerCase().includes(wanted) && (!this.#changed.checked || value !== usual),
    );
    const body = document.getElementById("settings");
    const rows = found.map(({ key, value, default: usual, what }) => [key, visible(value), visible(usual), what]);
    fill(body, rows, { empty: "No such key.", columns: 4 });
    found.forEach(({ value, default: usual }, at) => (body.rows[at].dataset.kind = value === usual ? "" : "changed"));
  }
}
