// The stream of events, and what to do when it does not come.
//
// EventSource connects again by itself after a network error, but not after an answer that is no stream (401, 503), and it
// notices a daemon that is silent never. So silence is watched for here. A hidden tab holds no connection: browsers
// allow a host only six, and nobody looks.

const SILENCE_MS = 3500;
const RETRY_MS = 1000;

export class Connection {
  #source = null;
  #heardAt = null;
  #timer = null;
  #heard;
  #lost;
  #opened;

  /** `opened()` at each new stream, `heard(snapshot)` each second, `lost(since)` (a Date or null) while nothing comes. */
  constructor({ opened, heard, lost }) {
    this.#opened = opened;
    this.#heard = heard;
    this.#lost = lost;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
    this.#open();
  }

  #open() {
    this.#close();
    const source = new EventSource("api/events");
    this.#source = source;
    source.addEventListener("open", () => this.#opened());
    source.addEventListener("snapshot", (event) => {
      this.#heardAt = new Date();
      this.#watch(SILENCE_MS);
      this.#heard(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      this.#lost(this.#heardAt);
      if (source.readyState === EventSource.CLOSED) this.#watch(RETRY_MS);
    });
    this.#watch(SILENCE_MS);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #watch(delayMs) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#lost(this.#heardAt);
      this.#open();
    }, delayMs);
  }
}
