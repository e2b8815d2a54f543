// Conversations without a page: branches, what the model sees, and how full its context is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Conversation, emptyConversation, titleOf, type Ending, type Turn } from "../page/text/conversation";
import { fileName, toJson, toMarkdown } from "../page/text/export";
import { messagesOf } from "../page/text/messages";

const DONE: Ending = { reason: "end", tokens: 3, recoveries: 0 };

/** A conversation in which these messages are answered; each takes ten tokens with its answer. */
function talked(...texts: string[]): Conversation {
  const conversation = new Conversation(emptyConversation("id"));
  for (const text of texts) answer(conversation, conversation.add(lastOf(conversation)?.id ?? null, text, []));
  return conversation;
}

function answer(conversation: Conversation, turn: Turn): Turn {
  turn.answer = `re: ${turn.text}`;
  conversation.end(turn, DONE, 10 * conversation.seenBy(turn).length);
  return turn;
}

function lastOf(conversation: Conversation): Turn | undefined {
  return conversation.path().at(-1);
}

function at(conversation: Conversation, index: number): Turn {
  const turn = conversation.path()[index];
  assert.ok(turn);
  return turn;
}

const texts = (conversation: Conversation): string[] => conversation.path().map(({ text }) => text);

test("a changed message begins a branch, and the other one stays", () => {
  const conversation = talked("a", "b", "c");
  const changed = answer(conversation, conversation.add(at(conversation, 1).parent, "B", []));
  assert.deepEqual(texts(conversation), ["a", "B"]);
  const versions = conversation.versions(changed);
  assert.deepEqual(versions.map(({ text }) => text), ["b", "B"]);
  conversation.show(versions[0] as Turn);
  assert.deepEqual(texts(conversation), ["a", "b", "c"]);
  conversation.show(changed);
  assert.deepEqual(texts(conversation), ["a", "B"]);
});

test("an answer is written again as a version, unless there was none", () => {
  const conversation = talked("a");
  const first = at(conversation, 0);
  const second = conversation.again(first);
  assert.notEqual(second.id, first.id);
  conversation.end(second, { reason: "failed", tokens: 0, recoveries: 0 });
  assert.equal(conversation.again(second), second);
  assert.equal(second.ending, null);
  assert.equal(conversation.versions(second).length, 2);
});

test("a turn is removed from between others, and a copy brings it back", () => {
  const conversation = talked("a", "b", "c");
  const before = conversation.copy();
  conversation.remove(at(conversation, 1));
  assert.deepEqual(texts(conversation), ["a", "c"]);
  conversation.remove(at(conversation, 1));
  assert.deepEqual(texts(conversation), ["a"]);
  conversation.restore(before);
  assert.deepEqual(texts(conversation), ["a", "b", "c"]);
  const again = answer(conversation, conversation.again(at(conversation, 2)));
  conversation.remove(again);
  assert.deepEqual(texts(conversation), ["a", "b", "c"], "the version before is shown");
  conversation.remove(at(conversation, 0));
  conversation.remove(at(conversation, 0));
  conversation.remove(at(conversation, 0));
  assert.deepEqual(texts(conversation), []);
});

test("a message without an answer is no part of what the model sees", () => {
  const conversation = talked("a", "b");
  const silent = conversation.add(at(conversation, 1).id, "c", []);
  conversation.end(silent, { reason: "failed", tokens: 0, recoveries: 0 });
  const next = conversation.add(silent.id, "d", []);
  assert.deepEqual(messagesOf(" be brief ", conversation.seenBy(next)), [
    { role: "system", content: "be brief" },
    { role: "user", content: "a" },
    { role: "assistant", content: "re: a" },
    { role: "user", content: "b" },
    { role: "assistant", content: "re: b" },
    { role: "user", content: "d" },
  ]);
});

test("the oldest turns are left out until half of the context is free", () => {
  const conversation = talked("a", "b", "c", "d");
  assert.deepEqual(conversation.used(), { tokens: 40, exact: true });
  const last = conversation.add(at(conversation, 3).id, "e", []);
  conversation.end(last, { reason: "failed", tokens: 0, recoveries: 0 }, 48);
  assert.deepEqual(conversation.used(), { tokens: 48, exact: true });
  assert.equal(conversation.leaveOut(last, 40), 3);
  assert.deepEqual(conversation.used(), { tokens: 18, exact: false });
  assert.deepEqual(conversation.seenBy(last).map(({ text }) => text), ["d", "e"]);
  assert.ok(conversation.hasEarlier(last));
  assert.equal(conversation.leaveOut(last, 1000), 1, "one at least");
  assert.ok(!conversation.hasEarlier(last));
  assert.equal(conversation.leaveOut(last, 40), 0);
  conversation.includeAll();
  assert.equal(conversation.seenBy(last).length, 5);
});

test("what was being written when the page was closed is marked", () => {
  const conversation = talked("a");
  const half = conversation.add(at(conversation, 0).id, "b", []);
  half.answer = "half of";
  conversation.close();
  assert.equal(half.ending?.reason, "closed");
  assert.equal(at(conversation, 0).ending, DONE);
});

test("images stand in front of their text", () => {
  const image = new File(["x"], "mill.png", { type: "image/png" });
  const conversation = new Conversation(emptyConversation("id"));
  const turn = conversation.add(null, "what is it?", [image]);
  const content = [{ type: "image", image }, { type: "text", text: "what is it?" }];
  assert.deepEqual(messagesOf("", conversation.seenBy(turn)), [{ role: "user", content }]);
});

test("exports", async () => {
  const conversation = talked("How does a mill work?");
  const image = new File(["x"], "mill.png", { type: "image/png" });
  const second = conversation.add(at(conversation, 0).id, "And this one?", [image]);
  answer(conversation, second);
  const exported = { model: "Millstone", system: "be brief", turns: conversation.path() };
  assert.equal(
    toMarkdown(exported),
    [
      "# How does a mill work?",
      "With Millstone.",
      "## System message",
      "be brief",
      "## You",
      "How does a mill work?",
      "## Model",
      "re: How does a mill work?",
      "## You",
      "*mill.png*",
      "And this one?",
      "## Model",
      "re: And this one?\n",
    ].join("\n\n"),
  );
  assert.deepEqual(JSON.parse(await toJson(exported)), {
    model: "Millstone",
    messages: [
      { role: "system", content: "be brief" },
      { role: "user", content: "How does a mill work?" },
      { role: "assistant", content: "re: How does a mill work?", finish_reason: "end" },
      {
        role: "user",
        content: [
          { type: "image_url", image_url: { url: "data:image/png;base64,eA==" } },
          { type: "text", text: "And this one?" },
        ],
      },
      { role: "assistant", content: "re: And this one?", finish_reason: "end" },
    ],
  });
});

test("titles and names of files", () => {
  assert.equal(titleOf([]), "New conversation");
  assert.equal(titleOf([{ text: "  one\ntwo" }]), "one");
  assert.equal(titleOf([{ text: "x".repeat(80) }]).length, 60);
  assert.equal(fileName("How does a mill work?", "md"), "how-does-a-mill-work.md");
  assert.equal(fileName("…", "json"), "conversation.json");
});
