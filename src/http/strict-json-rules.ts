/** JSON as we take it: what JSON.parse lets through silently changed, or only a parser's bug would tell apart, is refused. */

/** What is wrong, and where: `path` begins with `body`. */
export class JsonFault extends Error {
  readonly path: string;
  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

const MAX_DEPTH = 12;
/** Longer ones name no amount, year or version that we know. */
const LONGEST_NUMBER = 30;
const LONGEST_KEY_SHOWN = 60;
/** Would reach an object's prototype where somebody copies keys one by one. */
const NO_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Reads JSON. Throws JsonFault for what is no JSON, nested too deeply, names a key twice or a prototype, holds a number that
 * JavaScript cannot hold exactly, or text that cannot be stored: NUL and half of a surrogate pair.
 */
export function parseStrictJson(text: string): unknown {
  return new StrictReader(text).read();
}

class StrictReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    const value = this.#value('body', 0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#broken();
    return value;
  }

  #value(path: string, depth: number): unknown {
    if (depth > MAX_DEPTH) throw new JsonFault(path, 'is nested too deeply');
    this.#space();
    const next = this.#text[this.#at];
    if (next === '{') return this.#object(path, depth);
    if (next === '[') return this.#array(path, depth);
    if (next === '"') return storable(this.#string(), path);
    for (const [word, value] of [['true', true], ['false', false], ['null', null]] as const) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    } // prettier-ignore
    return this.#number(path);
  }

  #object(path: string, depth: number): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    this.#at += 1;
    if (this.#take('}')) return fields;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#broken();
      const key = this.#string();
      const at = `${path}.${key.slice(0, LONGEST_KEY_SHOWN)}`;
      storable(key, at);
      if (NO_KEYS.has(key)) throw new JsonFault(at, 'is not known');
      if (Object.hasOwn(fields, key)) throw new JsonFault(at, 'is there twice');
      if (!this.#take(':')) throw this.#broken();
      fields[key] = this.#value(at, depth + 1);
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#broken();
    return fields;
  }

  #array(path: string, depth: number): unknown[] {
    const items: unknown[] = [];
    this.#at += 1;
    if (this.#take(']')) return items;
    do items.push(this.#value(`${path}.${items.length}`, depth + 1));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#broken();
    return items;
  }

  #string(): string {
    const end = /"(?:[^"\\]|\\.)*"/suy;
    end.lastIndex = this.#at;
    const token = end.exec(this.#text)?.[0];
    if (token === undefined) throw this.#broken();
    this.#at += token.length;
    return this.#parsed(token) as string;
  }

  #number(path: string): number {
    const token = /-?[0-9][0-9eE+.-]*/y;
    token.lastIndex = this.#at;
    const text = token.exec(this.#text)?.[0];
    if (text === undefined) throw this.#broken();
    this.#at += text.length;
    if (text.length > LONGEST_NUMBER) throw new JsonFault(path, 'is a number that is too long');
    const value = this.#parsed(text) as number;
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new JsonFault(path, 'is a number that is too large');
    return value;
  }

  /** One string or number, whose escapes and form JSON.parse knows best. */
  #parsed(token: string): unknown {
    try {
      return JSON.parse(token);
    } catch {
      throw this.#broken();
    }
  }

  #space(): void {
    while (/[ \t\n\r]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
  }

  #take(sign: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }

  #broken(): JsonFault {
    return new JsonFault('body', 'is not valid JSON');
  }
}

/** PostgreSQL takes neither NUL nor half of a surrogate pair. */
function storable(text: string, path: string): string {
  if (text.includes('\0') || !text.isWellFormed())
    throw new JsonFault(path, 'contains characters that cannot be stored');
  return text;
}
