// Finds out why handshakes fail, by a denied permission or over HTTP: browsers do not report the reason to scripts.

import { isFunction } from './check.js';
import { permissionsFor, toProbeUrl } from './convert.js';
import { report } from './events.js';

/** How long the response may take, in milliseconds. */
const PATIENCE = 5_000;

/** The causes about which the server may know more. */
const SILENT_CAUSES = ['socket', 'connect-timeout'];

/** Counts the attempts of one socket that never opened, and asks once when enough in a row have failed. */
export class Probe {
  #who;
  #source;
  #after;
  #report;
  #failures = 0;
  /** The result that no `close` event has reported yet. */
  #found = null;
  /** Aborts the pending request. */
  #request = null;
  #wake;
  /** The URL for which the permission was queried, and `{ status, diagnosis }` if it was denied. */
  #asked;
  #permission = null;

  /**
   * @param who - the prefix of errors
   * @param source - the URL to request, a function that returns it, `true` for the socket's own, or nothing
   * @param after - how many attempts in a row
   * @param report - called with the result
   * @param wake - called when the permission is no longer denied
   */
  constructor(who, source, after, report, wake) {
    this.#wake = wake;
    this.#who = who;
    this.#source = source;
    this.#after = after;
    this.#report = report;
  }

  /**
   * A connection or an attempt has ended.
   *
   * @param lost - how it ended
   * @param url - its URL
   * @returns what was found out since the last call, or `null`
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

  /** A connection is open, or no further attempt is wanted. */
  reset() {
    this.#failures = 0;
    this.#found = null;
    this.#request?.abort();
    this.#request = null;
    // The next failure queries it again: a status with a listener keeps its listener alive.
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
          // The socket may be closed by now, and this is the only report of the reason.
          if (this.#asked === url) {
            this.#permission = { status, diagnosis };
            status.onchange = () => {
              if (status.state !== 'denied') this.#wake();
            };
          }
          this.#report(diagnosis);
        }
        return;
      } catch {
        // The browser lacks this permission, or permissions altogether.
      }
    }
  }

  async #ask(url) {
    const request = new AbortController();
    this.#request = request;
    let found = { kind: 'unknown' };
    try {
      const source = this.#source === true ? url : this.#source;
      found = await diagnose(
        toProbeUrl(this.#who, isFunction(source) ? await source.call(undefined) : source),
        request,
      );
    } catch (error) {
      report(error);
    }
    if (this.#request !== request) return;
    this.#request = null;
    this.#found = Object.freeze(found);
    this.#report(this.#found);
  }
}

/**
 * Makes one request. If the response of another origin may not be read, the result is the same as for an unreachable
 * server.
 */
async function diagnose(url, request) {
  const timer = setTimeout(() => request.abort(), PATIENCE);
  try {
    const response = await fetch(url, { cache: 'no-store', redirect: 'manual', signal: request.signal });
    // A redirect does not expose its status.
    return response.status === 0 ? { kind: 'unknown' } : { kind: 'status', status: response.status };
  } catch {
    // The origin of the page itself, which a sandbox removes, rather than that of its URL.
    const isReadable = new URL(url).origin === globalThis.origin;
    return { kind: isReadable || request.signal.aborted ? 'unreachable' : 'unknown' };
  } finally {
    clearTimeout(timer);
  }
}
