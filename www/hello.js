// The hello endpoint's protocol on this page: which names it accepts, how to send them, and what may come back. Nothing
// here touches the page or the socket.

/** The longest name that the server greets, in characters (Unicode code points, not UTF-16 units). */
export const LONGEST_NAME = 256;

/** The sub-protocol that means "the hello endpoint, in JSON". */
export const SUBPROTOCOL = 'hello.json';

/** How much text from a server the page shows, in characters. */
const LONGEST_SHOWN = 400;

/**
 * Returns what is wrong with a name, in a sentence that also says what is accepted, or `null` if the server would greet
 * it. The rules and their order are the server's, so that a name it would refuse is never sent.
 */
export function nameProblem(name) {
  if (/^\p{White_Space}*$/u.test(name)) return explain({ problem: 'empty' });
  const characters = [...name];
  if (characters.length > LONGEST_NAME) {
    return explain({ problem: 'tooLong', length: characters.length, max: LONGEST_NAME });
  }
  // A lone surrogate is half a character, and cannot be sent at all.
  const position = characters.findIndex((character) => /[\p{Cc}\p{Cs}]/u.test(character));
  return position === -1 ? null : explain({ problem: 'controlCharacter', position });
}

function explain({ problem, length, max, position }) {
  if (problem === 'empty') return `Please enter a name: 1 to ${LONGEST_NAME} characters.`;
  if (problem === 'tooLong' && isCount(length) && isCount(max)) {
    return `This name has ${length} characters; the server greets ${max} at most.`;
  }
  if (problem === 'controlCharacter' && isCount(position)) {
    return `Character ${position + 1} cannot be printed; please leave it out.`;
  }
  return 'The server refused the name, for a reason that this page does not know.';
}

function isCount(value) {
  return Number.isSafeInteger(value) && value >= 0;
}

/** The message that requests a greeting. */
export function encodeHello(name) {
  return JSON.stringify({ type: 'hello', name });
}

/**
 * Reads a message from the server. Whatever was received, the result is one of `{ kind: 'greeting', text }`, `{ kind:
 * 'refusal', text }` and `{ kind: 'unknown', text }`, with bounded and printable text.
 */
export function decodeAnswer(data) {
  if (typeof data !== 'string') return unknown('binary data where text was expected');
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return unknown('text that is not JSON');
  }
  if (typeof value !== 'object' || value === null) return unknown('JSON that is not an object');
  if (value.type === 'greeting' && typeof value.text === 'string') {
    return { kind: 'greeting', text: printable(value.text) };
  }
  if (value.type === 'invalid' && typeof value.reason === 'object' && value.reason !== null) {
    return { kind: 'refusal', text: explain(value.reason) };
  }
  if (value.type === 'malformed' && typeof value.text === 'string') {
    return { kind: 'refusal', text: `The server did not understand: ${printable(value.text)}` };
  }
  return unknown('an answer of a type that this page does not know');
}

/**
 * Makes foreign text safe to show in a line: bounded, and with `U+…` for characters that are invisible, break the line
 * or reverse the direction of writing.
 */
export function printable(text, longest = LONGEST_SHOWN) {
  const characters = [...String(text)];
  const shown = characters.slice(0, longest).join('');
  // Cc: controls; Cf: formats such as the direction overrides; Cs: lone surrogates; Zl, Zp: line separators.
  // The zero-width joiner and non-joiner are formats too, but belong to emoji and to several scripts.
  const safe = shown.replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, codePoint);
  return characters.length > longest ? `${safe}…` : safe;
}

function unknown(text) {
  return { kind: 'unknown', text };
}

function codePoint(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}
