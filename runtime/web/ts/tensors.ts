// Tensors as callers have them, in the form in which they are sent: elements of 32 bits with a shape.

import type { EntryInfo, NestedNumbers, Tensor, TensorInfo, TensorInput } from "./api";
import { makeError, type GristmillError } from "./errors";

type Elem = TensorInfo["elem"];

/** The inputs of an entry, or of the entry that takes inputs of these names. */
export function takeTensors(
  inputs: Record<string, TensorInput>,
  entry: string | null,
  entries: EntryInfo[],
): Record<string, Tensor> {
  const called = entries.filter(({ name }) => entry === null || name === entry);
  const known = new Map(called.flatMap((e) => e.inputs.map(({ name, elem }) => [name, elem] as const)));
  const all = Object.entries(inputs);
  return Object.fromEntries(all.map(([name, input]) => [name, takeTensor(name, input, known.get(name))]));
}

/** A tensor for an input of this name; of an input that no entry has, nobody knows the elements. */
function takeTensor(name: string, input: TensorInput, elem: Elem = "f32"): Tensor {
  if (Array.isArray(input)) {
    const shape = shapeOf(input);
    const flat: (number | bigint)[] = [];
    flatten(name, input as NestedNumbers, shape, [], flat);
    return { data: convert(name, flat, elem), shape };
  }
  const { data, shape } = (input ?? {}) as Exclude<TensorInput, NestedNumbers>;
  const sized = data instanceof Float32Array || data instanceof Int32Array;
  if (!sized && !(data instanceof BigInt64Array) && !Array.isArray(data)) {
    const forms = "{ data, shape } with a Float32Array, Int32Array, BigInt64Array or list of numbers, or nested lists";
    throw refuse(`${name}: expected ${forms}, found ${described(data ?? input)}`);
  }
  const whole = (size: unknown): boolean => Number.isInteger(size) && (size as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(whole)) {
    throw refuse(`${name}: expected a shape, a list of whole numbers, found ${described(shape)}`);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== data.length) {
    throw refuse(`${name}: expected ${count} elements for the shape [${shape.join(", ")}], found ${data.length}`);
  }
  return { data: sized ? data : convert(name, data, elem), shape };
}

/** The shape of nested lists, going by the first element of each. */
function shapeOf(list: unknown): number[] {
  return Array.isArray(list) ? [list.length, ...shapeOf(list[0])] : [];
}

/** All numbers of nested lists, which must have this shape. */
function flatten(name: string, list: NestedNumbers, shape: number[], at: number[], flat: (number | bigint)[]): void {
  const place = `${name}${at.map((index) => `[${index}]`).join("")}`;
  const [size, ...inner] = shape;
  if (!Array.isArray(list) || list.length !== size) {
    const found = Array.isArray(list) ? `${list.length}` : described(list);
    throw refuse(`${place}: expected a list of ${size} elements as its neighbours are, found ${found}`);
  }
  for (const [index, item] of list.entries()) {
    if (inner.length > 0) flatten(name, item as NestedNumbers, inner, [...at, index], flat);
    else if (typeof item === "number" || typeof item === "bigint") flat.push(item);
    else throw refuse(`${place}[${index}]: expected a number, found ${described(item)}`);
  }
}

/** Numbers as elements, all of which must fit. */
function convert(name: string, values: ArrayLike<number | bigint>, elem: Elem): Tensor["data"] {
  const data = elem === "i32" ? new Int32Array(values.length) : new Float32Array(values.length);
  const words = elem === "i32" ? "a whole number of 32 bits" : "a number that 32 bits hold";
  for (let index = 0; index < values.length; index++) {
    const given = values[index];
    const value = typeof given === "bigint" ? Number(given) : given;
    if (typeof value === "number") data[index] = value;
    const kept = data[index];
    const fits = elem === "i32" ? kept === value : Number.isFinite(kept) || !Number.isFinite(value);
    if (typeof value !== "number" || !fits) {
      throw refuse(`${name}: expected ${words} at ${index}, found ${described(given)}`);
    }
  }
  return data;
}

function described(value: unknown): string {
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return String(value);
}

function refuse(message: string): GristmillError {
  return makeError("input", message);
}
