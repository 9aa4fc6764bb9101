// Marks parts of a text. kbert's offsets count Unicode characters (code points), JavaScript's strings count UTF-16
// units: an emoji is one character and two units. So texts are cut as arrays of code points.

import { element } from "./dom.js";

const TONES = 8;

/** Numbers the kinds of marks, so that equal labels have equal colors, in the order of their names. */
export function tones(labels) {
  const sorted = [...new Set(labels)].sort();
  return Object.fromEntries(sorted.map((label, place) => [label, `tone-${place % TONES}`]));
}

/**
 * A text with marks.
 * @param {string} text - The text.
 * @param {{start: number, end: number, label?: string, tone?: string, title?: string, strength?: number}[]} spans -
 *   Character offsets in the text; a span that begins inside the one before it is left out.
 */
export function marked(text, spans) {
  const characters = Array.from(text);
  const block = element("p.marked", { dir: "auto" });
  let place = 0;
  for (const { start, end, label, tone, title, strength } of [...spans].sort((one, other) => one.start - other.start)) {
    if (start < place || end <= start) continue;
    block.append(characters.slice(place, start).join(""));
    const mark = element(tone ? `mark.${tone}` : "mark", { title }, characters.slice(start, end).join(""));
    if (strength !== undefined) mark.style.setProperty("--strength", `${Math.round(100 * strength)}%`);
    if (label) mark.append(element("span.label", {}, label));
    block.append(mark);
    place = end;
  }
  block.append(characters.slice(place).join(""));
  return block;
}
