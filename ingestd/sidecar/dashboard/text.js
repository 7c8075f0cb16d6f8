// Numbers and strings for people. Nothing here touches the document.

export const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (known(value) ? whole.format(value) : "–");

/** For the axis of a chart, where there is little room. */
export const brief = (value) => (known(value) ? short.format(value) : "–");

export function decimal(value, digits = 3) {
  if (!known(value)) return "–";
  if (value >= 1000) return whole.format(value);
  return value.toLocaleString("en", { maximumSignificantDigits: digits });
}

/** A rate: whole, unless it is small. */
export const speed = (value) => (known(value) && value > 0 && value < 10 ? decimal(value, 2) : count(value));

export function bytes(value) {
  if (!known(value)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${decimal(value)} ${units[unit]}`;
}

export function latency(seconds) {
  if (!known(seconds)) return "–";
  return seconds < 1 ? `${decimal(seconds * 1000)} ms` : `${decimal(seconds)} s`;
}

export function duration(seconds) {
  if (!known(seconds)) return "–";
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  const minutes = Math.floor((s % 3600) / 60);
  if (s < 172800) return `${Math.floor(s / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
  if (s < 2 * 365 * 86400) return `${count(Math.floor(s / 86400))} days`;
  return `${Math.floor(s / 86400 / 365)} years`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

/** The time of day of a Date or of UNIX milliseconds. */
export const timeOfDay = (at) => clock.format(at);

export const words = (name) => name.replaceAll("_", " ");
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

// What acts on a reader, hides, or turns text around: controls, marks without width, bidirectional controls, tags. The
// same characters as in ingestd/visible.py, which shows records in a terminal.
const HIDDEN = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u180e\\u200b\\u2060-\\u2064\\ufeff\\u061c\\u200e\\u200f\\u202a-\\u202e" +
    "\\u2066-\\u2069\\u2028\\u2029\\u206a-\\u206f\\ufff9-\\ufffb\\u{d800}-\\u{dfff}\\u{e0000}-\\u{e007f}]",
  "gu",
);
const SHORT = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

function escaped(character) {
  const number = character.codePointAt(0);
  if (SHORT.has(character)) return SHORT.get(character);
  const hex = number.toString(16);
  if (number < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return number < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

/** The text of a stranger with everything in it to be seen. */
export const visible = (text) => text.replace(HIDDEN, escaped);
