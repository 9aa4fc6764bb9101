// Lists of things with a number and a bar.

import { element } from "./dom.js";

const SHOWN = 10;

/** A share of 1 as text: "91.8 %". */
export function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

/**
 * A list of bars, the first ten of them at once.
 * @param {{name: string, share: number, value: string, chosen?: boolean, note?: string}[]} items - `share` is the
 *   length of the bar, from 0 to 1; `value` is the number as text.
 * @param {string} label - What the list is, for screen readers.
 */
export function bars(items, label) {
  const list = element("ol.bars", { "aria-label": label }, ...items.slice(0, SHOWN).map(bar));
  if (items.length <= SHOWN) return list;
  const rest = element("ol.bars", { "aria-label": `${label}, the rest` }, ...items.slice(SHOWN).map(bar));
  return element("div", {}, list, element("details", {}, element("summary", {}, `${items.length - SHOWN} more`), rest));
}

function bar({ name, share, value, chosen, note }) {
  const fill = element("span.fill");
  fill.style.inlineSize = `${100 * Math.min(1, Math.max(0, share || 0))}%`;
  const title = element("span.name", { dir: "auto" }, name);
  if (note) title.append(element("span.note", {}, note));
  return element(
    chosen ? "li.chosen" : "li",
    {},
    title,
    element("span.value", {}, value),
    element("span.track", { "aria-hidden": "true" }, fill),
  );
}
