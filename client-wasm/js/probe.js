// Finding out why handshakes fail, by a permission that is denied or over HTTP: a browser tells a script nothing about
// it.

import { isFunction, permissionsFor, toProbeUrl } from './convert.js';
import { report } from './events.js';

/** Milliseconds that the answer may take. */
const PATIENCE = 5_000;

/** How attempts end of which the server may know more. */
const SILENT_CAUSES = ['socket', 'connect-timeout'];

/** Counts the attempts of one socket that never opened, and asks once when there are enough in a row. */
export class Probe {
  #who;
  #source;
  #after;
  #tell;
  #failures = 0;
  /** What was found and not yet told by a `close` event. */
  #found = null;
  /** Calls off the request under way. */
  #request = null;
  #wake;
  /** The URL for which the permission was asked for, and `{ status, diagnosis }`, if it was denied. */
  #asked;
  #permission = null;

  /**
   * @param who - what errors begin with
   * @param source - the URL to ask, a function that gives it, `true` for that of the socket, or nothing
   * @param after - how many attempts in a row
   * @param tell - called with what was found
   * @param wake - called when what was denied is denied no more
   */
  constructor(who, source, after, tell, wake) {
    this.#wake = wake;
    this.#who = who;
    this.#source = source;
    this.#after = after;
    this.#tell = tell;
  }

  /**
   * A connection, or an attempt to make one, has ended.
   *
   * @param lost - how
   * @param url - where to
   * @returns what was found out since the last time, or `null`
   */
  ended({ wasOpen, cause }, url) {
    const found = this.#found;
    this.#found = null;
    if (wasOpen || !SILENT_CAUSES.includes(cause)) return found;
    if (this.#asked !== url) this.#askForPermission(url);
    if (this.#permission?.status.state === 'denied') return this.#permission.diagnosis;
    if (this.#source) {
      this.#failures += 1;
      if (this.#failures === this.#after) this.#ask(url);
    }
    return found;
  }

  /** A connection is open, or none is wanted any more. */
  reset() {
    this.#failures = 0;
    this.#found = null;
    this.#request?.abort();
    this.#request = null;
    // Asked anew after the next failure: a status that is listened to keeps who listens.
    if (this.#permission) this.#permission.status.onchange = null;
    this.#permission = null;
    this.#asked = undefined;
  }

  /** Chromium lets a page connect to the local network only with the user's permission. */
  async #askForPermission(url) {
    this.#asked = url;
    for (const name of permissionsFor(url)) {
      try {
        const status = await globalThis.navigator.permissions.query({ name });
        if (status.state === 'denied') {
          const diagnosis = Object.freeze({ kind: 'permission', name });
          // It may be over by now, and this the only one to say why.
          if (this.#asked === url) {
            this.#permission = { status, diagnosis };
            status.onchange = () => { if (status.state !== 'denied') this.#wake(); };
          }
          this.#tell(diagnosis);
        }
        return;
      } catch {
        // It has no such permission, or none at all.
      }
    }
  }

  async #ask(url) {
    const request = new AbortController();
    this.#request = request;
    let found = { kind: 'unknown' };
    try {
      const source = this.#source === true ? url : this.#source;
      found = await diagnose(toProbeUrl(this.#who, isFunction(source) ? await source.call(undefined) : source), request);
    } catch (error) {
      report(error);
    }
    if (this.#request !== request) return;
    this.#request = null;
    this.#found = Object.freeze(found);
    this.#tell(this.#found);
  }
}

/** One request. Where the answer of another origin may not be read, failure to reach it looks the same. */
async function diagnose(url, request) {
  const timer = setTimeout(() => request.abort(), PATIENCE);
  try {
    const response = await fetch(url, { cache: 'no-store', redirect: 'manual', signal: request.signal });
    // A redirection shows no status.
    return response.status === 0 ? { kind: 'unknown' } : { kind: 'status', status: response.status };
  } catch {
    // That of the page itself, which a sandbox takes away, and not that of its URL.
    const isReadable = new URL(url).origin === globalThis.origin;
    return { kind: isReadable || request.signal.aborted ? 'unreachable' : 'unknown' };
  } finally {
    clearTimeout(timer);
  }
}
