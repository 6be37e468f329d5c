/** The page's side of the worker: one run at a time, stopped at once, and a new worker where the old one died. */

export class Runner {
  /** events: functions by the type of message (progress, ready, frame, note, done, error), called with its content. */
  constructor(events) {
    Object.assign(this, { events, worker: null, id: 0, running: false });
  }

  /** order: {base, listed, folder, settings, backend}. */
  run(order) {
    this.worker ??= this.hire();
    this.running = true;
    this.worker.postMessage({ type: "run", id: ++this.id, ...order });
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
      if (data.id !== this.id) return;
      if (data.type === "done" || data.type === "error") this.running = false;
      this.events[data.type]?.(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      this.worker = null;
      if (!this.running) return;
      this.running = false;
      const why = event.message ? ` (${event.message.slice(0, 200)})` : "";
      this.events.error({ sentence: `The computation stopped${why}; the next run starts it anew.` });
    };
    return worker;
  }
}
