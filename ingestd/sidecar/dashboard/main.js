// The dashboard: joins the stream of events to the panels.

import { showAlerts } from "./alerts.js";
import { Past } from "./charts.js";
import { Connection } from "./connection.js";
import { lose, show } from "./panels.js";
import { Examples, Samples } from "./records.js";
import { Settings } from "./settings.js";
import { timeOfDay } from "./text.js";

const THEMES = ["auto", "light", "dark"];
const root = document.documentElement;

function storedTheme() {
  try {
    return localStorage.getItem("theme") ?? "auto";
  } catch {
    return "auto"; // storage is forbidden in this browser; the choice lasts as long as the page
  }
}

function setTheme(theme) {
  root.dataset.theme = THEMES.includes(theme) ? theme : "auto";
  document.getElementById("theme").textContent = `Theme: ${root.dataset.theme}`;
}

setTheme(storedTheme());
const past = new Past();
const samples = new Samples();
const examples = new Examples();
const settings = new Settings();

document.getElementById("theme").addEventListener("click", () => {
  setTheme(THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length]);
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // as above
  }
  past.restyle();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => past.restyle());

for (const button of document.querySelectorAll(".ranges button")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll(".ranges button")) other.setAttribute("aria-pressed", String(other === button));
    past.choose(button.dataset.resolution);
  });
}

const main = document.getElementById("main");

new Connection({
  opened() {
    past.load();
    settings.load();
  },
  heard(snapshot) {
    main.classList.remove("stale");
    document.getElementById("heard").textContent = `live, ${timeOfDay(new Date(snapshot.stats.time))}`;
    show(snapshot, (reason, opener) => examples.open(reason, opener));
    showAlerts(snapshot.alerts);
    samples.show(snapshot.stats.samples);
    past.add(snapshot.point);
  },
  lost(since) {
    main.classList.add("stale");
    lose(since);
  },
});
