// Views that mark parts of the text: entities, tags of words, sentences and masks.

import { bars, percent } from "./bars.js";
import { element } from "./dom.js";
import { marked, tones } from "./marks.js";

const MASK = "[MASK]";

/** Entities in their text, and a table of them. */
export function showSpans([row], { text }) {
  const spans = spansOf(row, row.labels);
  const colors = tones(spans.map(({ label }) => label));
  const marks = spans.map((span) => ({ ...span, tone: colors[span.label], title: percent(span.score) }));
  const parts = [marked(text, marks)];
  if (spans.length) parts.push(table(spans));
  const count = spans.length === 1 ? "1 entity" : `${spans.length} entities`;
  return { summary: spans.length ? count : "No entity", parts };
}

/** Words with their tags in the text. */
export function showWords([row], { text }) {
  const words = spansOf(row, row.tags);
  const colors = tones(words.map(({ label }) => label));
  const marks = words.map((word) => ({ ...word, tone: colors[word.label], title: percent(word.score) }));
  return { summary: words.length === 1 ? "1 word" : `${words.length} words`, parts: [marked(text, marks)] };
}

/** The chosen sentences in their document. */
export function showSentences([row], { sentences }) {
  const chosen = row.indices.slice(0, row.count);
  const items = sentences.map((sentence, index) => {
    const place = chosen.indexOf(index);
    if (place < 0) return element("li", { dir: "auto" }, sentence);
    const score = element("span.label", {}, percent(row.probabilities[place]));
    return element("li", { dir: "auto" }, element("mark", {}, sentence, score));
  });
  const summary = chosen.map((index) => sentences[index]).join(" ");
  return { summary, parts: [element("ol.sentences", { "aria-label": "The document" }, ...items)] };
}

/** The text with the likeliest pieces, and bars for each mask. */
export function showFilledMasks([row], { text }) {
  if (!row.count) return { summary: `The text has no ${MASK}`, parts: [] };
  const parts = text.split(MASK);
  const filled = element("p.marked", { dir: "auto" }, parts[0]);
  for (const [place, part] of parts.slice(1).entries()) {
    const piece = place < row.count ? row.pieces[place][0] : MASK;
    filled.append(element("mark", {}, piece.replace(/^##/, "")), part);
  }
  const lists = row.pieces.slice(0, row.count).map((pieces, place) => {
    const items = pieces.map((name, index) => {
      const share = row.probabilities[place][index];
      return { name, share, value: percent(share), chosen: index === 0 };
    });
    const title = row.count === 1 ? "Pieces" : `Mask ${place + 1}`;
    return element("section", {}, element("h3", {}, title), bars(items, title));
  });
  const best = row.pieces.slice(0, row.count).map(([piece]) => piece);
  return { summary: best.join(", "), parts: [filled, element("div.masks", {}, ...lists)] };
}

function spansOf(row, labels) {
  return labels.slice(0, row.count).map((label, place) => ({
    label,
    text: row.texts[place],
    start: row.starts[place],
    end: row.ends[place],
    score: row.scores[place],
  }));
}

function table(spans) {
  const names = ["Text", "Label", "Score", "Characters"];
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
  const rows = spans.map(({ text, label, score, start, end }) =>
    element(
      "tr",
      {},
      element("td", { dir: "auto" }, text),
      element("td", {}, label),
      element("td.number", {}, percent(score)),
      element("td.number", {}, `${start}–${end}`),
    ),
  );
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}
