// A turn as it is shown: a message, its answer, and what can be done with both.

import { answerText } from "./answer";
import { gallery } from "./attachments";
import { copyButton, small } from "../buttons";
import type { Turn } from "./conversation";
import { editBox } from "./edit";
import { summary, unanswered } from "./ending";
import { errorProblem, fullProblem } from "./problem";
import { h } from "../dom";

/** What can be done with a turn. */
export interface TurnActions {
  /** Sends a changed message in its place. */
  edit(turn: Turn, text: string): void;
  /** Answers it once more. */
  again(turn: Turn): void;
  remove(turn: Turn): void;
  /** Shows the version that many places further. */
  turnTo(turn: Turn, step: 1 | -1): void;
  /** Leaves out the oldest turns and answers it again. */
  leaveOut(turn: Turn): void;
}

/** What a turn's view says besides its texts. */
export interface TurnFacts {
  /** Its place in the conversation, from 1. */
  number: number;
  /** Which version it is, from 1, and of how many. */
  version: number;
  versions: number;
  /** Whether some text is being written, so that nothing else can be done. */
  busy: boolean;
  /** Whether the model sees earlier turns. */
  hasEarlier: boolean;
  /** Whether its text is in the box again. */
  returned: boolean;
}

/** A turn as it is shown. */
export interface TurnView {
  element: HTMLElement;
  append(piece: string): void;
  update(facts: TurnFacts): void;
  /** Gives the focus to the button that steps between versions. */
  focusStep(step: 1 | -1): void;
}

/** The view of a turn. */
export function turnView(turn: Turn, actions: TurnActions): TurnView {
  const said = h("p", { class: "text" }, turn.text);
  const answer = answerText();
  const note = h("p", { class: "note" });
  const problem = h("div");
  const unseen = [1, 2].map(() => h("span", { hidden: true }, " · not seen by the model"));
  const copyMessage = copyButton("Copy", "", () => turn.text);
  const edit = small("Edit", "", startEdit);
  const remove = small("Delete", "", () => actions.remove(turn));
  const copyAnswer = copyButton("Copy", "", () => turn.answer);
  const again = small("Regenerate", "", () => actions.again(turn));
  const steps = {
    [-1]: small("‹", "", () => actions.turnTo(turn, -1)),
    1: small("›", "", () => actions.turnTo(turn, 1)),
  };
  const version = h("span");
  const versions = h("span", { class: "versions", role: "group" }, steps[-1], version, steps[1]);
  const asked = h("div", { class: "commands" }, copyMessage, edit, remove);
  const answered = h("div", { class: "commands" }, copyAnswer, again, versions);
  const user = h("article", { class: "user" }, h("h3", {}, "You", unseen[0]), gallery(turn.images), said, asked);
  const assistant = h(
    "article",
    { class: "assistant" },
    h("h3", {}, "Model", unseen[1]),
    answer.element,
    note,
    problem,
    answered,
  );
  const element = h("div", { class: "turn", role: "group" }, user, assistant);
  answer.set(turn.answer);

  function startEdit(): void {
    const end = (): void => {
      form.replaceWith(said);
      asked.hidden = false;
    };
    const form = editBox(
      edit.getAttribute("aria-label") ?? "",
      turn.text,
      (text) => {
        end();
        actions.edit(turn, text);
      },
      () => {
        end();
        edit.focus();
      },
    );
    said.replaceWith(form);
    asked.hidden = true;
    form.querySelector("textarea")?.focus();
  }

  function update({ number, version: mine, versions: all, busy, hasEarlier, returned }: TurnFacts): void {
    element.setAttribute("aria-label", `Turn ${number}`);
    element.classList.toggle("left-out", turn.leftOut);
    for (const mark of unseen) mark.hidden = !turn.leftOut;
    const names: [HTMLElement, string][] = [
      [copyMessage, `Copy message ${number}`],
      [edit, `Edit message ${number}`],
      [remove, `Delete message ${number} and its answer`],
      [copyAnswer, `Copy answer ${number}`],
      [again, `Regenerate answer ${number}`],
      [steps[-1], `Previous version of turn ${number}`],
      [steps[1], `Next version of turn ${number}`],
      [versions, `Versions of turn ${number}`],
    ];
    for (const [part, name] of names) part.setAttribute("aria-label", name);
    for (const button of [edit, remove, again, steps[-1], steps[1]]) button.disabled = busy;
    version.textContent = `${mine} of ${all}`;
    versions.hidden = all < 2;
    copyAnswer.hidden = turn.answer === "";
    const { ending } = turn;
    // An error offers that itself, if it helps.
    again.hidden = ending === null || ending.trouble !== undefined || (ending.reason === "context" && hasEarlier);
    answered.hidden = ending !== null && copyAnswer.hidden && again.hidden && versions.hidden;
    if (ending) {
      answer.set(turn.answer);
      answer.element.removeAttribute("aria-busy");
    } else answer.element.setAttribute("aria-busy", "true");
    note.textContent = !ending ? "" : turn.answer === "" ? unanswered(ending) : summary(ending);
    const leaveOut = hasEarlier ? () => actions.leaveOut(turn) : undefined;
    const remedies = { what: `answer ${number}`, again: () => actions.again(turn), leaveOut };
    if (ending?.trouble) problem.replaceChildren(errorProblem(ending.trouble, remedies, returned));
    else if (ending?.reason === "context") problem.replaceChildren(fullProblem(remedies, returned));
    else problem.replaceChildren();
    for (const button of problem.querySelectorAll("button")) button.disabled = busy;
  }

  return {
    element,
    append: answer.append,
    update,
    focusStep: (step) => steps[step].focus(),
  };
}
