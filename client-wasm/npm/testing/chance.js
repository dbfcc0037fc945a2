// Randomness: determines the waits between attempts.

import { dispose } from '../typed/symbols.js';
import { replace } from './replace.js';

export function setChance(chance) {
  const numbers = Array.isArray(chance) ? chance : [chance];
  if (numbers.length === 0 || !numbers.every((number) => typeof number === 'number' && number >= 0 && number <= 1)) {
    throw new RangeError('setChance: it takes a number from 0 to 1, or an array of them that has at least one');
  }
  let index = 0;
  const restore = replace(Math, 'random', () => {
    const number = numbers[Math.min(index, numbers.length - 1)];
    index += 1;
    return number;
  });
  return { restore, [dispose]: restore };
}
