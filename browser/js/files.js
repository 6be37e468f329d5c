/** Downloads files that are listed with their size and SHA-256: once, checked, with progress, kept by the browser. */

const CACHE = "synth";
const PATIENCE = 30_000; // milliseconds without a byte before a download is given up

export class FileError extends Error {}

/** Fetches the files of one folder. */
export class Files {
  /** base: the folder's address; listed: {path: {bytes, sha256}}; note: told, in a sentence, what could not be done. */
  constructor(base, listed, note = () => {}) {
    Object.assign(this, { base, listed, note });
  }

  /** How many bytes of `paths` are not kept yet. */
  async missing(paths) {
    const kept = await Promise.all(paths.map((path) => this.kept(path)));
    return paths.reduce((sum, path, index) => sum + (kept[index] ? 0 : this.listed[path].bytes), 0);
  }

  /** The bytes of each of `paths`. progress: called with the bytes so far and in all; signal: of an AbortController. */
  async get(paths, { progress = () => {}, signal } = {}) {
    const total = await this.missing(paths);
    const results = [];
    let before = 0;
    for (const path of paths) {
      const response = await this.kept(path);
      if (response) {
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (await this.isWhole(path, bytes)) {
          results.push(bytes);
          continue;
        }
        await (await open()).delete(this.key(path));
      }
      const bytes = await this.download(path, (loaded) => progress(before + loaded, Math.max(total, before + loaded)), signal);
      before += bytes.length;
      await this.keep(path, bytes);
      results.push(bytes);
    }
    return results;
  }

  async download(path, progress, signal) {
    const { bytes: size } = this.listed[path];
    const name = path.split("/").at(-1);
    const stalled = new AbortController();
    const stop = () => stalled.abort();
    signal?.addEventListener("abort", stop);
    let clock = setTimeout(stop, PATIENCE);
    const bytes = new Uint8Array(size);
    let loaded = 0;
    try {
      const response = await fetch(this.base + path, { signal: stalled.signal });
      if (!response.ok) throw new FileError(`${name} is not there (${response.status}); the page's folder is incomplete.`);
      for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        if (loaded + value.length > size) throw new FileError(`${name} is longer than listed, so it is not used.`);
        bytes.set(value, loaded);
        progress((loaded += value.length));
        clearTimeout(clock);
        clock = setTimeout(stop, PATIENCE);
      }
    } catch (error) {
      if (signal?.aborted) throw new DOMException("stopped", "AbortError");
      if (error instanceof FileError) throw error;
      throw new FileError(cut(name, loaded, size));
    } finally {
      clearTimeout(clock);
      signal?.removeEventListener("abort", stop);
    }
    if (loaded < size) throw new FileError(cut(name, loaded, size));
    if (!(await this.isWhole(path, bytes))) throw new FileError(`${name} was altered on its way, so it is not used; try again.`);
    return bytes;
  }

  async isWhole(path, bytes) {
    const { bytes: size, sha256 } = this.listed[path];
    if (bytes.length !== size) return false;
    if (!globalThis.crypto?.subtle) {
      this.note("This address is not a secure one (https), so the files' checksums are not checked, nor the files kept.");
      return true;
    }
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
  }

  key(path) {
    return new URL(`${this.base}${path}?sha256=${this.listed[path].sha256}`).href;
  }

  async kept(path) {
    return (await open())?.match(this.key(path));
  }

  async keep(path, bytes) {
    try {
      await (await open())?.put(this.key(path), new Response(bytes));
    } catch {
      this.note("The browser's storage is full, so the files will be downloaded again next time.");
    }
  }

  /** Forget what an earlier version of the folder left. */
  async tidy() {
    const cache = await open();
    const keys = new Set(Object.keys(this.listed).map((path) => this.key(path)));
    const old = ((await cache?.keys()) ?? []).filter(({ url }) => url.startsWith(this.base) && !keys.has(url));
    await Promise.all(old.map((request) => cache.delete(request)));
  }
}

async function open() {
  try {
    return await globalThis.caches?.open(CACHE);
  } catch {
    return undefined; // private windows of some browsers
  }
}

function cut(name, loaded, size) {
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  return `The download of ${name} was cut off at ${megabytes(loaded)} of ${megabytes(size)} MB; try again.`;
}
