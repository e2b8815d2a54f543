// A conversation: turns in branches, which of them the model still sees, and how much of its context they take.

import type { StopReason } from "../../ts/api";
import type { Trouble } from "../panels/trouble";

/** How an answer ended. */
export interface Ending {
  /** `failed`: by an error; `closed`: with the page. */
  reason: StopReason | "failed" | "closed";
  /** Tokens of the answer. */
  tokens: number;
  /** Devices that were lost and replaced on the way. */
  recoveries: number;
  /** The error, if one ended it. */
  trouble?: Trouble;
}

/** A message of the user and the answer to it. */
export interface Turn {
  readonly id: number;
  /** The turn before it. Turns with the same one are versions of each other. */
  parent: number | null;
  readonly text: string;
  readonly images: readonly Blob[];
  answer: string;
  /** Null as long as the answer is being written. */
  ending: Ending | null;
  /** Whether the model no longer sees it. */
  leftOut: boolean;
  /** Tokens that it adds to the prompt, as far as they are known. */
  cost: number;
  /** Tokens of the prompt and the answer together, when it was answered. */
  total: number;
}

/** A conversation as it is kept. */
export interface ConversationData {
  id: string;
  /** The instruction in front of all turns. */
  system: string;
  turns: Turn[];
  /** The last turn of the branch that is shown. */
  current: number | null;
  /** What was typed and not sent. */
  draft: string;
}

/** Most characters of a title. */
const TITLE = 60;

/** A new conversation without turns. */
export function emptyConversation(id: string, system = ""): ConversationData {
  return { id, system, turns: [], current: null, draft: "" };
}

/** What a conversation is called: its first message, shortened. */
export function titleOf(turns: readonly Pick<Turn, "text">[]): string {
  const line = turns[0]?.text.trim().split("\n", 1)[0] ?? "";
  if (line === "") return turns.length > 0 ? "Images" : "New conversation";
  return line.length > TITLE ? `${line.slice(0, TITLE - 1).trimEnd()}…` : line;
}

/** The turns of a conversation. Those of branches that are not shown are kept. */
export class Conversation {
  private data: ConversationData;

  constructor(data: ConversationData) {
    this.data = data;
  }

  get id(): string {
    return this.data.id;
  }

  /** A copy, to be kept or to be restored. */
  copy(system = this.data.system, draft = this.data.draft): ConversationData {
    return { ...this.data, system, draft, turns: this.data.turns.map((turn) => ({ ...turn })) };
  }

  /** Makes the conversation what it was when it was copied. */
  restore(data: ConversationData): void {
    this.data = { ...data, turns: data.turns.map((turn) => ({ ...turn })) };
  }

  /** The turns of the branch that is shown, or those up to `last`. */
  path(last: number | null = this.data.current): Turn[] {
    const path: Turn[] = [];
    for (let turn = this.find(last); turn; turn = this.find(turn.parent)) path.unshift(turn);
    return path;
  }

  /** A new turn behind another one, which is shown. */
  add(parent: number | null, text: string, images: readonly Blob[]): Turn {
    const id = 1 + Math.max(0, ...this.data.turns.map((turn) => turn.id));
    const turn: Turn = { id, parent, text, images, answer: "", ending: null, leftOut: false, cost: 0, total: 0 };
    this.data.turns.push(turn);
    this.data.current = id;
    return turn;
  }

  /** The turn that asks the same once more: a version of its own, unless there is no answer to keep. */
  again(turn: Turn): Turn {
    if (turn.answer !== "") return this.add(turn.parent, turn.text, turn.images);
    turn.ending = null;
    return turn;
  }

  /** The turns that stand in the same place, the oldest first. */
  versions(turn: Turn): Turn[] {
    return this.data.turns.filter(({ parent }) => parent === turn.parent).sort((a, b) => a.id - b.id);
  }

  /** Shows the newest branch that has this turn. */
  show(turn: Turn): void {
    for (let next: Turn | undefined = turn; next; ) {
      this.data.current = next.id;
      const parent: number = next.id;
      next = this.data.turns.filter((child) => child.parent === parent).sort((a, b) => b.id - a.id)[0];
    }
  }

  /** Removes a turn; those behind it stay. */
  remove(turn: Turn): void {
    const { turns } = this.data;
    this.data.turns = turns.filter(({ id }) => id !== turn.id);
    for (const child of this.data.turns) if (child.parent === turn.id) child.parent = turn.parent;
    if (this.data.current !== turn.id) return;
    this.data.current = turn.parent;
    const sibling = this.versions(turn).at(-1);
    if (sibling) this.show(sibling);
  }

  /** The turns that the model sees when it answers this one, itself included. Those without an answer are none. */
  seenBy(turn: Turn): Turn[] {
    return this.path(turn.id).filter((one) => one === turn || (!one.leftOut && one.answer !== ""));
  }

  /** Ends an answer. `tokens` is the length of the prompt, with the answer to it, if that is known. */
  end(turn: Turn, ending: Ending, tokens?: number): void {
    turn.ending = ending;
    if (tokens === undefined) return;
    turn.total = tokens;
    turn.cost = tokens - this.tokensBefore(turn);
  }

  /** Tokens of the context that the branch takes; not `exact` where they are a sum of what turns took before. */
  used(): { tokens: number; exact: boolean } {
    const last = this.path().at(-1);
    const tokens = last ? Math.max(0, this.tokensBefore(last) + last.cost) : 0;
    return { tokens, exact: tokens === (last?.total ?? 0) };
  }

  /** Whether the model sees turns before this one, which could be left out. */
  hasEarlier(turn: Turn): boolean {
    return this.seenBy(turn).length > 1;
  }

  /** Leaves out the oldest turns that this one sees, until half of the context is free. Gives their number. */
  leaveOut(turn: Turn, context: number): number {
    let used = this.tokensBefore(turn) + turn.cost;
    let count = 0;
    for (const old of this.seenBy(turn).slice(0, -1)) {
      if (count > 0 && used <= context / 2) break;
      old.leftOut = true;
      used -= old.cost;
      count += 1;
    }
    return count;
  }

  /** Lets the model see all turns of the branch again. */
  includeAll(): void {
    for (const turn of this.path()) turn.leftOut = false;
  }

  /** Ends what was being written when the page was closed. */
  close(): void {
    for (const turn of this.data.turns) turn.ending ??= { reason: "closed", tokens: 0, recoveries: 0 };
  }

  private tokensBefore(turn: Turn): number {
    const before = this.seenBy(turn).slice(0, -1);
    return before.reduce((sum, { cost }) => sum + cost, 0);
  }

  private find(id: number | null): Turn | undefined {
    return id === null ? undefined : this.data.turns.find((turn) => turn.id === id);
  }
}
