// The stream of events, and what to do when it does not come.
//
// EventSource connects again by itself after a network error, but not after an answer that is no stream (401, 503), and a
// daemon that is silent it never notices. So silence is watched for here; a moment without a stream, as there is one at
// each reload of the daemon, is no news. A hidden tab holds no connection: browsers allow a host only six, and nobody looks.

const SILENCE_MS = 3500;
const RETRY_MS = 1000;

export class Connection {
  #source = null;
  #heardAt = null;
  #silence = null;
  #retry = null;
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
      this.#watch();
      this.#heard(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.#retry = setTimeout(() => this.#open(), RETRY_MS);
    });
    this.#watch();
  }

  #close() {
    clearTimeout(this.#silence);
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  /** Where nothing is heard for a while, say so, and ask anew: the stream may be one that will never speak again. */
  #watch() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#lost(this.#heardAt);
      this.#open();
    }, SILENCE_MS);
  }
}
