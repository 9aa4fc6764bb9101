// How the answers of each task look. A view has
//   needs: the outputs of the signature that it reads;
//   labels: other labels than usual of some fields;
//   lines: for a view that asks for more texts than one, the label of their field;
//   show(rows, texts): {summary, share, isRepeated, parts}: the answer in a few words, which are read aloud; its
//     probability or undefined; whether the words are only read, because the parts show them; and the elements below.
// `rows` are the rows of the answer, `texts` what was sent: a string or a list of strings by input.

import { bars, percent } from "./bars.js";
import { element } from "./dom.js";
import { showFilledMasks, showSentences, showSpans, showWords } from "./text_views.js";
import { showAnswerInContext } from "./question_answering.js";
import { cosine, norm } from "./vectors.js";

export const VIEWS = {
  classification: { needs: ["label", "classes", "probabilities"], show: showClasses },
  multilabel: { needs: ["labels", "count", "classes", "probabilities"], show: showLabels },
  regression: { needs: ["value"], show: showNumber },
  tagging: { needs: ["count", "starts", "ends", "scores", "texts"], show: showTags },
  "question-answering": { needs: ["answer", "start", "end", "score"], show: showAnswerInContext },
  embedding: {
    needs: ["vector"],
    labels: { text: "Query" },
    lines: "Texts to compare, one per line",
    show: showNeighbours,
  },
  ranking: { needs: ["order", "count", "scores", "probabilities"], show: showRanking },
  "multiple-choice": { needs: ["index", "choice", "probabilities"], show: showChoices },
  summarization: { needs: ["indices", "count", "probabilities"], show: showSentences },
  "fill-mask": { needs: ["count", "pieces", "probabilities"], show: showFilledMasks },
  generation: { needs: ["generated", "score"], show: showGenerated },
};

/** Pairs of names and probabilities, the largest first. */
function ranked(names, probabilities) {
  return names.map((name, place) => ({ name, share: probabilities[place] })).sort((a, b) => b.share - a.share);
}

/** The answer in words, for a model that may abstain from it. */
function said(row, answer) {
  return row.abstained ? `Not sure; most likely ${answer}` : answer;
}

function showClasses([row]) {
  const items = ranked(row.classes, row.probabilities);
  const shown = items.map((item) => ({ ...item, value: percent(item.share), chosen: item.name === row.label }));
  const { share } = items.find(({ name }) => name === row.label);
  return { summary: said(row, row.label), share, parts: [bars(shown, "Labels")] };
}

function showLabels([row]) {
  const given = row.labels.slice(0, row.count);
  const items = ranked(row.classes, row.probabilities).map((item) => {
    const chosen = given.includes(item.name);
    return { ...item, value: percent(item.share), chosen, note: chosen ? "given" : "" };
  });
  return { summary: given.join(", ") || "No label", parts: [bars(items, "Labels")] };
}

function showNumber([row]) {
  return { summary: String(Number(row.value.toPrecision(6))), parts: [] };
}

function showGenerated([row]) {
  const [best, ...others] = [row.generated].flat();
  const items = others.map((text) => element("li", { dir: "auto" }, text));
  const list = element("ol.sentences", { "aria-label": "Further answers", start: 2 }, ...items);
  return { summary: best, parts: items.length ? [list] : [] };
}

function showTags(rows, texts) {
  return rows[0].tags ? showWords(rows, texts) : showSpans(rows, texts);
}

function showNeighbours([query, ...others], texts) {
  const length = query.vector.length;
  if (!others.length) {
    const parts = [element("p.hint", {}, `Its length is ${norm(query.vector).toFixed(4)}.`)];
    return { summary: `A vector of ${length} numbers`, parts };
  }
  const items = others.map((other, place) => ({ name: texts.lines[place], share: cosine(query.vector, other.vector) }));
  items.sort((one, other) => other.share - one.share);
  const shown = items.map((item, place) => ({ ...item, value: item.share.toFixed(3), chosen: place === 0 }));
  const hint = element("p.hint", {}, `The numbers are cosines of vectors of ${length} numbers.`);
  return { summary: `Nearest: ${items[0].name}`, isRepeated: true, parts: [bars(shown, "Neighbours"), hint] };
}

function showRanking([row], texts) {
  const items = row.order.slice(0, row.count).map((index, place) => ({
    name: texts.candidates[index],
    share: row.probabilities[index],
    value: row.scores[index].toFixed(3),
    chosen: place === 0,
  }));
  if (!items.length) return { summary: "No candidate", parts: [] };
  return { summary: `Best: ${items[0].name}`, isRepeated: true, parts: [bars(items, "Candidates")] };
}

function showChoices([row], texts) {
  const items = texts.choices.map((name, place) => ({
    name,
    share: row.probabilities[place],
    value: percent(row.probabilities[place]),
    chosen: place === row.index,
  }));
  return { summary: said(row, row.choice), share: row.probabilities[row.index], parts: [bars(items, "Choices")] };
}
