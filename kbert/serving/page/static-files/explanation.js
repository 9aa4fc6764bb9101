// Explanations: which words of a text the answer is due to.

import { element } from "./dom.js";
import { marked } from "./marks.js";
import { isByRow, requestBody } from "./request.js";

const SIGNATURE = "explain";
const OUTPUTS = ["count", "inputs", "starts", "ends", "scores"];

/** Whether a model has the signature that explains answers. */
export function explains(model) {
  const signature = model.signatures?.[SIGNATURE];
  if (!signature || !isByRow(signature)) return false;
  const asked = model.manifest?.text_inputs ?? [];
  const known = Object.keys(signature.inputs).every((name) => name === "label" || asked.includes(name));
  return known && OUTPUTS.every((name) => name in signature.outputs);
}

/**
 * The body of the request for an explanation, as JSON.
 * @param {Object} model - The model, as in /kbert/models.
 * @param {Object<string, string>[]} rows - The inputs of the prediction by name, each as JSON; the first is explained.
 */
export function explanationBody(model, [row]) {
  const inputs = { ...row };
  // The empty text stands for the label that the model predicts.
  if ("label" in model.signatures[SIGNATURE].inputs) inputs.label = JSON.stringify("");
  return requestBody(SIGNATURE, [inputs], true);
}

/**
 * The texts with coloured words.
 * @param {Object} row - The row of the answer.
 * @param {Object<string, string|string[]>} texts - The texts by the names of the inputs.
 * @param {string[]} names - The names of the inputs, in order.
 */
export function showExplanation(row, texts, names) {
  const scores = row.scores.slice(0, row.count);
  const largest = Math.max(...scores.map(Math.abs), 0) || 1;
  const block = element("section.why", {}, element("h3", {}, row.label === undefined ? "Why" : `Why ${row.label}`));
  for (const [index, name] of names.entries()) {
    const spans = scores.flatMap((score, place) => {
      if (row.inputs[place] !== index) return [];
      const tone = score > 0 ? "speaks-for" : "speaks-against";
      return [
        {
          start: row.starts[place],
          end: row.ends[place],
          tone,
          strength: Math.abs(score) / largest,
          title: `${score > 0 ? "+" : ""}${score.toFixed(3)}`,
        },
      ];
    });
    // Of a list of candidates or choices, the best one is explained.
    block.append(marked(Array.isArray(texts[name]) ? row.choice : texts[name], spans));
  }
  block.append(element("p.hint", {}, "Green words speak for the answer, red words against it."));
  return block;
}
