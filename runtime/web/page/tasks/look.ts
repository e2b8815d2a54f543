// What the views of models that look at images have in common.

/** What a view does with an image: the elements that show it, and what it asks the model. */
export interface Look {
  elements: HTMLElement[];
  /** Shows an image of which nothing is known yet. */
  begin(image: ImageBitmap): void;
  /** Asks the model; says in a few words what came of it. */
  ask(image: ImageBitmap): Promise<string>;
}
