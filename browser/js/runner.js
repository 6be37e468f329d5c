/** The page's side of the worker: one run at a time, stopped at once, and a new worker where the old one died. */

const PATIENCE = 120_000; // milliseconds in which a run says nothing before it is given up

export class Runner {
  /** events: functions by the type of message (progress, ready, frame, note, done, error), called with its content. */
  constructor(events) {
    Object.assign(this, { events, worker: null, id: 0, running: false });
  }

  /** order: {base, listed, folder, settings, backend}. */
  run(order) {
    this.worker ??= this.hire();
    this.running = true;
    this.wait();
    this.worker.postMessage({ type: "run", id: ++this.id, ...order });
  }

  /** Make ready for a run: order as of `run`, without settings. */
  warm(order) {
    if (this.running) return;
    this.worker ??= this.hire();
    this.worker.postMessage({ type: "warm", ...order });
  }

  /** Nothing of the run is heard after this; the worker ends it after the step that it is at. */
  stop() {
    if (!this.running) return;
    this.worker.postMessage({ type: "stop" });
    this.id++;
    this.running = false;
  }

  hire() {
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      if (data.id !== this.id || (!this.running && !["ready", "note"].includes(data.type))) return;
      this.wait();
      if (data.type === "done" || data.type === "error") this.running = false;
      this.events[data.type]?.(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.giveUp(event.message ? ` (${event.message.slice(0, 200)})` : "");
    };
    return worker;
  }

  /** Watch that something is heard of the run; a hidden tab, whose clock stands still, has all the time. */
  wait() {
    clearTimeout(this.clock);
    const late = () => (document.hidden ? this.wait() : this.giveUp(" (nothing was heard of it any more)"));
    if (this.running) this.clock = setTimeout(late, PATIENCE);
  }

  giveUp(why) {
    this.worker?.terminate();
    this.worker = null;
    if (!this.running) return;
    this.running = false;
    this.events.error({ sentence: `The computation stopped${why}; the next run starts it anew.` });
  }
}
