// The fields of the form: one for each input of a signature, which give the input's value as JSON.

import { element } from "./dom.js";
import { parse } from "./json_text.js";

const LABELS = {
  text: "Text",
  text_pair: "Second text",
  question: "Question",
  context: "Context",
  query: "Query",
  candidates: "Candidates, one per line",
  prompt: "Prompt",
  choices: "Choices, one per line",
  sentences: "Sentences, one per line",
};
const ROWS = { text: 4, context: 7, sentences: 7, candidates: 5, choices: 4 };

/** A value that cannot be sent; the message says what was expected. */
export class FieldError extends Error {}

/**
 * Makes the fields for a signature.
 * @param {Object} signature - Inputs and outputs by name, each with its dtype and shape.
 * @param {string[]|null} order - The inputs of a task in their order; null for a model of unknown origin.
 * @param {Object} examples - A first value for some inputs.
 * @param {boolean} byRow - Whether a value is one row, without the first dimension of the input.
 * @param {Object<string, string>} labels - The labels of some inputs of a task.
 */
export function makeFields(signature, order, examples, byRow, labels = {}) {
  const names = order ?? Object.keys(signature.inputs).sort();
  return names.map((name) => {
    const info = signature.inputs[name];
    const rank = info.shape?.length;
    const isText = info.dtype === "DT_STRING" && rank === 1 && byRow;
    const isList = info.dtype === "DT_STRING" && rank === 2 && byRow;
    const label = order ? (labels[name] ?? LABELS[name] ?? name) : `${name}: ${described(info, byRow)}`;
    if (isText) return textField(name, label, examples[name] ?? "");
    if (isList && order) return linesField(name, label, examples[name] ?? []);
    return jsonField(name, label, info, byRow);
  });
}

/** A field for a text, which is sent as it is. */
export function textField(name, label, value) {
  return field(name, label, value, (area) => JSON.stringify(area.value));
}

/** A field for a list of texts. Empty lines are left out. */
export function linesField(name, label, values) {
  const made = field(name, label, values.join("\n"), (area) => JSON.stringify(lines(area.value)));
  return { ...made, lines: () => lines(made.area.value) };
}

function jsonField(name, label, info, byRow) {
  const shape = (info.shape ?? []).slice(byRow ? 1 : 0);
  // Two values where the size is free.
  const repeat = (value, size) => Array(size < 0 ? 2 : size).fill(value);
  const example = JSON.stringify(shape.reduceRight(repeat, leaf(info)));
  return field(name, label, example, (area) => {
    const text = area.value.trim();
    try {
      parse(text);
    } catch {
      const received = text.length > 40 ? `${text.slice(0, 37)}...` : text || "nothing";
      const shown = example.length > 40 ? `${example.slice(0, 37)}...` : example;
      throw new FieldError(`${name}: expected JSON, such as ${shown}. Received: ${received}`);
    }
    return text;
  });
}

function field(name, label, value, toJson) {
  const id = `input-${name}`;
  const area = element("textarea", { id, name, rows: ROWS[name] ?? 2, dir: "auto", spellcheck: "false" });
  area.value = value;
  const block = element("div.field", {}, element("label", { for: id }, label), area);
  return { name, area, block, json: () => toJson(area), text: () => area.value };
}

function lines(text) {
  return text.split("\n").filter((line) => line.trim());
}

function leaf(info) {
  if (info.dtype === "DT_STRING") return "text";
  return info.dtype === "DT_BOOL" ? false : 0;
}

/** The dtype and the shape of an input in words: "float [any, 2]". */
function described(info, byRow) {
  const dtype = info.dtype.replace("DT_", "").toLowerCase();
  if (!info.shape) return `${dtype}, any shape`;
  const sizes = info.shape.slice(byRow ? 1 : 0).map((size) => (size < 0 ? "any" : size));
  return sizes.length ? `${dtype} [${sizes.join(", ")}]` : dtype;
}
