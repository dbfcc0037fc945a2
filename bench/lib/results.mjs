// The file that `--json` writes; the README of the parent folder describes its format.

import { readFile, writeFile } from 'node:fs/promises';

export const FORMAT = 1;

/** Collects all measurements. */
export class Results {
  machine;
  versions = {};
  started = new Date().toISOString();
  /** @type {Map<string, object>} by part, case and contender */
  #measurements = new Map();

  constructor(machine) {
    this.machine = machine;
  }

  get measurements() {
    return [...this.#measurements.values()];
  }

  /** Adds a measurement, or the samples of further rounds to an existing one. */
  add({ part, case: name, contender, unit, samples, note }) {
    check({ part, case: name, contender, unit, samples, note });
    const key = JSON.stringify([part, name, contender]);
    const known = this.#measurements.get(key);
    if (!known) {
      this.#measurements.set(key, {
        part,
        case: name,
        contender,
        unit,
        samples: [...samples],
        ...(note ? { note } : {}),
      });
      return;
    }
    if (known.unit !== unit) throw new Error(`${key} is measured in ${known.unit}, not in ${unit}`);
    known.samples.push(...samples);
    if (note) known.note = note;
  }

  /** One contender's samples of a case, or `undefined`. */
  samples(part, name, contender) {
    return this.#measurements.get(JSON.stringify([part, name, contender]))?.samples;
  }

  /** Adds the measurements that another program wrote. */
  async merge(file) {
    let read;
    try {
      read = JSON.parse(await readFile(file, 'utf8'));
      for (const measurement of read.measurements) this.add(measurement);
    } catch (error) {
      throw new Error(`${file} is no file of results: ${error.message}`, { cause: error });
    }
    Object.assign(this.versions, read.versions);
  }

  toJSON() {
    return {
      format: FORMAT,
      started: this.started,
      machine: this.machine,
      versions: this.versions,
      measurements: this.measurements,
    };
  }

  async write(file) {
    await writeFile(file, `${JSON.stringify(this, null, 1)}\n`);
  }
}

function check(measurement) {
  const { part, case: name, contender, unit, samples, note } = measurement;
  const wrong = [
    Number.isInteger(part) && part >= 1 ? '' : `part is ${part}, not a whole number`,
    ...Object.entries({ case: name, contender, unit }).map(([field, value]) =>
      typeof value === 'string' && value !== '' ? '' : `${field} is ${value}, not a text`,
    ),
    Array.isArray(samples) && samples.length > 0 && samples.every(Number.isFinite)
      ? ''
      : 'samples is no list of numbers',
    note === undefined || typeof note === 'string' ? '' : `note is ${note}, not a text`,
  ].filter(Boolean);
  if (wrong.length > 0) throw new Error(`a measurement of ${name} by ${contender}: ${wrong.join('; ')}`);
}
