// The view of question answering: the answer marked in its context, and the next best answers.

import { percent } from "./bars.js";
import { element } from "./dom.js";
import { marked } from "./marks.js";

const SHOWN = 5;

/** The answer in its context; a click on one of the best answers marks that one. */
export function showAnswerInContext([row], { context }) {
  const place = element("div");
  const show = ({ start, end, score }) => {
    place.replaceChildren(marked(context, [{ start, end, label: percent(score) }]));
  };
  show(row);
  const said = { summary: row.answer || "No answer", share: row.score };
  const best = bestAnswers(row);
  if (best.length < 2) return { ...said, parts: [place] };
  const buttons = best.map((answer) => {
    const chosen = answer.start === row.start && answer.end === row.end;
    const text = [element("span", { dir: "auto" }, answer.text), element("span.value", {}, percent(answer.score))];
    const press = ({ currentTarget }) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button === currentTarget));
      show(answer);
    };
    return element("button.quiet", { type: "button", "aria-pressed": String(chosen), click: press }, ...text);
  });
  const group = element("div.answers", { role: "group", "aria-label": "Likeliest parts of the context" }, ...buttons);
  return { ...said, parts: [place, element("h3", {}, "Likeliest parts of the context"), group] };
}

function bestAnswers(row) {
  return (row.answers ?? []).slice(0, Math.min(row.count, SHOWN)).map((text, place) => ({
    text,
    start: row.starts[place],
    end: row.ends[place],
    score: row.scores[place],
  }));
}
