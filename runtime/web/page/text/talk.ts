// The course of a conversation: which message is answered when, and what becomes of it if that fails.

import type { GenerateOptions } from "../../ts/api";
import type { Composer } from "./composer";
import type { Conversation, Turn } from "./conversation";
import { endingOf } from "./ending";
import { messagesOf } from "./messages";
import { isTooLong } from "./problem";
import type { Waiting } from "./waiting";
import type { Writer, Written } from "./writer";

/** What answers, and for whom. */
export interface TalkParts {
  conversation: Conversation;
  writer: Writer;
  box: Composer;
  waiting: Waiting;
  system(): string;
  options(): GenerateOptions;
  /** Called after each change of the conversation; `turn` is the one that begins or ends. */
  changed(turn?: Turn): void;
  /** Called for each piece of an answer. */
  piece(turn: Turn, piece: string): void;
}

/** The course of a conversation. */
export interface Talk {
  /** Answers the messages that wait, unless something is being answered. */
  goOn(): void;
  /** Answers a turn, and then the messages that wait. */
  answer(turn: Turn): void;
  /** Answers a turn once more. */
  again(turn: Turn): void;
  busy(): boolean;
  /** The turn whose text is in the box again. */
  returned(): Turn | null;
  /** Puts the last message into the box if it was not answered when the conversation was left. */
  resume(): void;
}

/** Nothing is being answered yet. */
export function createTalk(parts: TalkParts): Talk {
  const { conversation, writer, box, waiting, changed } = parts;
  let busy = false;
  let returned: Turn | null = null;

  /** Answers a turn, and then those that wait, as long as nothing stops that. */
  async function work(turn: Turn | null): Promise<void> {
    busy = true;
    for (let next = turn; next; ) {
      const goesOn = await one(next);
      next = goesOn ? nextTurn() : null;
    }
    busy = false;
    changed();
  }

  /** Answers a turn. True if there is an answer, and nothing but itself ended it. */
  async function one(turn: Turn): Promise<boolean> {
    returned = null;
    box.setBusy(true);
    changed(turn);
    const messages = messagesOf(parts.system(), conversation.seenBy(turn));
    const written = await writer.write(messages, parts.options(), (piece) => {
      turn.answer += piece;
      parts.piece(turn, piece);
    });
    box.setBusy(false);
    const ending = endingOf(written);
    conversation.end(turn, ending, tokensOf(written));
    if (ending.reason === "aborted") giveBackWaiting(turn);
    else giveBack(turn);
    changed(turn);
    box.focus();
    return turn.answer !== "" && ending.reason !== "aborted" && ending.reason !== "failed";
  }

  /** The turn of the message that waits longest. */
  function nextTurn(): Turn | null {
    const message = waiting.next();
    if (!message) return null;
    const last = conversation.path().at(-1);
    // Templates insist on an answer to each message.
    const parent = last?.answer === "" ? last.parent : (last?.id ?? null);
    if (last && last === returned) conversation.remove(last);
    return conversation.add(parent, message.text, message.images);
  }

  /** Puts a message that has no answer into the box again, unless that has another one. */
  function giveBack(turn: Turn): void {
    if (turn.answer !== "" || !box.isEmpty()) return;
    box.give(turn.text, turn.images);
    returned = turn;
  }

  /** Who stops wants silence: what waits goes back into the box. */
  function giveBackWaiting(turn: Turn): void {
    const free = box.isEmpty();
    const { text, images } = waiting.takeAll();
    box.give(text, images);
    if (turn.answer !== "" || !free) return;
    box.give(turn.text, turn.images);
    returned = turn;
  }

  function answer(turn: Turn): void {
    box.focus();
    void work(turn);
  }

  return {
    goOn() {
      if (!busy) void work(nextTurn());
    },
    answer,
    again(turn) {
      if (turn === returned) box.take(turn.text, turn.images);
      answer(conversation.again(turn));
    },
    busy: () => busy,
    returned: () => returned,
    resume() {
      returned = null;
      const last = conversation.path().at(-1);
      if (last?.answer !== "" || !(box.isEmpty() || box.text() === last.text)) return;
      box.take(last.text, last.images);
      giveBack(last);
    },
  };
}

/** Tokens of a prompt with the answer to it, as far as they are known. */
function tokensOf({ result, trouble }: Written): number | undefined {
  if (!result) return isTooLong(trouble) ? trouble.details.needed : undefined;
  return result.promptTokens > 0 ? result.promptTokens + result.tokens.length : undefined;
}
