// Chance that is the same for the same seed, and changes of bytes.

/** Numbers from 0 to 1 by mulberry32, with what is drawn from them. */
export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  number() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number below another one. */
  below(most) {
    return Math.floor(this.number() * most);
  }

  /** Whether something with this chance happens. */
  chance(p) {
    return this.number() < p;
  }

  pick(items) {
    return items[this.below(items.length)];
  }

  /** A place in a list and how many items from there on, mostly few. */
  range(length, most = 64) {
    const from = this.below(length + 1);
    return [from, Math.min(this.below(this.chance(0.8) ? 8 : most) + 1, length - from)];
  }
}

/** The seed of one execution, so that each can be had without those before it. */
export function seedOf(seed, execution) {
  return (Math.imul(seed, 0x9e3779b1) ^ Math.imul(execution + 1, 0x85ebca6b)) >>> 0;
}

/** A text after one to four changes of its bytes; what is no text afterwards is read as the page reads it. */
export function changeBytes(random, text, other) {
  let bytes = Buffer.from(text);
  for (let left = 1 + random.below(4); left > 0; left--) bytes = random.pick(CHANGES)(random, bytes, other);
  return new TextDecoder().decode(bytes);
}

const CHANGES = [flip, insert, truncate, splice, remove, repeat];

function flip(random, bytes) {
  const changed = Buffer.from(bytes);
  if (changed.length > 0) changed[random.below(changed.length)] ^= 1 << random.below(8);
  return changed;
}

function insert(random, bytes) {
  const at = random.below(bytes.length + 1);
  const added = Buffer.from(Array.from({ length: 1 + random.below(4) }, () => random.below(256)));
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)]);
}

function truncate(random, bytes) {
  // Most ends make no file at all, so that they are rare.
  return random.chance(0.2) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
}

function splice(random, bytes, other) {
  const [from, count] = random.range(other.length, 400);
  const at = random.below(bytes.length + 1);
  const end = random.chance(0.5) ? at : Math.min(at + count, bytes.length);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(other.slice(from, from + count)), bytes.subarray(end)]);
}

function remove(random, bytes) {
  const [from, count] = random.range(bytes.length);
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + count)]);
}

function repeat(random, bytes) {
  const [from, count] = random.range(bytes.length);
  const times = 1 + random.below(random.chance(0.1) ? 2000 : 4);
  const again = Buffer.concat(Array.from({ length: times }, () => bytes.subarray(from, from + count)));
  return Buffer.concat([bytes.subarray(0, from), again, bytes.subarray(from)]);
}
