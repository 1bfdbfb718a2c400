// A long title in two parts, of which the style sheet shortens the first alone: the end tells it from others. As `title_parts` of
// ui/page/wording.py.

import { create } from "./dom.js";

const [SHORT_TITLE, SHORTEST_TAIL, LONGEST_TAIL, TAIL_WITHOUT_SEPARATOR] = [22, 3, 24, 8]; // letters
const SEPARATORS = [": ", " – ", " - ", " / ", "; ", ", "];

/**
 * The beginning of a title and an end that stays in view; a short title has no end.
 * @param {string} title
 * @returns {[string, string]}
 */
export function titleParts(title) {
  if (title.length <= SHORT_TITLE) return [title, ""];
  for (const separator of SEPARATORS) {
    const start = title.lastIndexOf(separator) + separator.length;
    const tail = title.length - start;
    if (start >= separator.length && tail >= SHORTEST_TAIL && tail <= LONGEST_TAIL) return [title.slice(0, start), title.slice(start)];
  }
  const middle = title.length - TAIL_WITHOUT_SEPARATOR;
  const blank = title.indexOf(" ", middle);
  const start = blank >= 0 && blank < title.length - SHORTEST_TAIL ? blank + 1 : middle;
  return [title.slice(0, start), title.slice(start)];
}

/**
 * What an element with the class `two-part` has for a title.
 * @param {string} title
 */
export function titleNodes(title) {
  const [head, tail] = titleParts(title);
  return tail ? [create("span", { className: "head" }, head), create("span", { className: "tail" }, tail)] : [title];
}
