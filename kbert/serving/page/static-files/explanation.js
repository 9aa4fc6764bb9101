// Explanations: which words of a text the answer is due to.

import { element } from "./dom.js";
import { marked } from "./marks.js";
import { isByRow, requestBody } from "./request.js";

const SIGNATURE = "explain";
const OUTPUTS = ["count", "inputs", "starts", "ends", "scores"];
// The inputs that choose what is explained, and the values, as JSON, that leave the choice to the model.
const CHOICES = { label: JSON.stringify(""), span: "[0, 0]", sentence: "-1" };
const MOST_CHOICES = 12;

/** Whether a model has the signature that explains answers. */
export function explains(model) {
  const signature = model.signatures?.[SIGNATURE];
  if (!signature || !isByRow(signature)) return false;
  const asked = model.manifest?.text_inputs ?? [];
  const known = Object.keys(signature.inputs).every((name) => name in CHOICES || asked.includes(name));
  return known && OUTPUTS.every((name) => name in signature.outputs);
}

/**
 * The body of the request for an explanation, as JSON.
 * @param {Object} model - The model, as in /kbert/models.
 * @param {Object<string, string>[]} rows - The inputs of the prediction by name, each as JSON; the first is explained.
 * @param {Object<string, string>} choice - The values of some of CHOICES, as JSON.
 */
export function explanationBody(model, [row], choice = {}) {
  const names = Object.keys(CHOICES).filter((name) => name in model.signatures[SIGNATURE].inputs);
  const chosen = Object.fromEntries(names.map((name) => [name, choice[name] ?? CHOICES[name]]));
  return requestBody(SIGNATURE, [{ ...row, ...chosen }], true);
}

/**
 * The texts with coloured words.
 * @param {Object} row - The row of the explanation.
 * @param {Object<string, string|string[]>} texts - The texts by the names of the inputs.
 * @param {string[]} names - The names of the inputs, in order.
 * @param {HTMLElement|null} choices - What `choiceButtons` returned.
 */
export function showExplanation(row, texts, names, choices = null) {
  const title = explained(row, texts, names);
  const block = element("section.why", {}, element("h3", {}, title ? `Why ${title}` : "Why"));
  for (const [index, name] of names.entries()) {
    const isDocument = row.sentence !== undefined && Array.isArray(texts[name]);
    // Of a list of candidates or choices, the best one is explained.
    const shown = isDocument ? texts[name] : [Array.isArray(texts[name]) ? row.choice : texts[name]];
    for (const [place, text] of shown.entries()) {
      block.append(marked(text, colouredWords(row, isDocument ? place : index)));
    }
  }
  block.append(
    element(
      "p.hint",
      {},
      "Blue words with a solid line speak for the answer, orange words with a dashed line against it.",
    ),
  );
  if (choices) block.append(choices);
  return block;
}

/**
 * Buttons that explain another part of the answer: another label, entity, part of the context, or sentence.
 * @param {Object} model - The model, as in /kbert/models.
 * @param {Object} answer - The row of the prediction.
 * @param {function(Object<string, string>): void} explain - Is called with the choice of `explanationBody`.
 */
export function choiceButtons(model, answer, explain) {
  const choices = choicesOf(model.signatures[SIGNATURE].inputs, answer).slice(0, MOST_CHOICES);
  if (choices.length < 2) return null;
  const buttons = choices.map(({ text, choice }) =>
    element("button.quiet", { type: "button", dir: "auto", click: () => explain(choice) }, text),
  );
  const title = "Explain instead";
  const group = element("div.answers", { role: "group", "aria-label": title }, ...buttons);
  return element("div", {}, element("h3", {}, title), group);
}

function choicesOf(inputs, answer) {
  const spans = (labels) =>
    labels.slice(0, answer.count).map((text, place) => ({
      text,
      choice: { span: JSON.stringify([answer.starts[place], answer.ends[place]]) },
    }));
  if ("span" in inputs && answer.answers) return spans(answer.answers);
  if ("span" in inputs && answer.texts) return spans(answer.texts);
  if ("sentence" in inputs && answer.indices) {
    const indices = answer.indices.slice(0, answer.count);
    return indices.map((index) => ({ text: `Sentence ${index + 1}`, choice: { sentence: String(index) } }));
  }
  if (!("label" in inputs) || !answer.classes) return [];
  return answer.classes.map((label) => ({ text: label, choice: { label: JSON.stringify(label) } }));
}

/** What is explained, in words. */
function explained(row, texts, names) {
  if (row.sentence !== undefined) return `sentence ${row.sentence + 1}`;
  if (row.answer !== undefined) return row.answer || "no answer";
  if (row.generated !== undefined) return row.generated;
  if (row.label === undefined) return "";
  const text = texts[names[0]];
  // Offsets count Unicode characters.
  const span = row.start === undefined ? "" : Array.from(text).slice(row.start, row.end).join("");
  return span ? `${row.label}: ${span}` : row.label;
}

/** The words of one text as marks. */
function colouredWords(row, index) {
  const scores = row.scores.slice(0, row.count);
  const largest = Math.max(...scores.map(Math.abs), 0) || 1;
  return scores.flatMap((score, place) => {
    if (row.inputs[place] !== index) return [];
    return [
      {
        start: row.starts[place],
        end: row.ends[place],
        tone: score > 0 ? "speaks-for" : "speaks-against",
        strength: Math.abs(score) / largest,
        title: `${score > 0 ? "+" : ""}${score.toFixed(3)}`,
      },
    ];
  });
}
