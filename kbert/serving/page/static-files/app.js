// The page: the form, the answer and the text of the request.

import { percent } from "./bars.js";
import { byId, element } from "./dom.js";
import { choiceButtons, explanationBody, explains, showExplanation } from "./explanation.js";
import { FieldError, linesField, makeFields } from "./fields.js";
import { pretty } from "./json_text.js";
import { facts, firstSignature, versionChoices, viewOf } from "./models.js";
import { answerRows, asCurl, asPython, isByRow, predictPath, requestBody } from "./request.js";
import { address, apiKey, keepApiKey, listModels, predict, ServerError } from "./server.js";

const state = { models: [], examples: {}, model: null, signatureName: "", view: null, fields: [], running: null };
const kept = new Map(); // What was typed, by the model, the signature and the field.

// === Models ===

async function refresh() {
  try {
    const [models, examples] = await Promise.all([listModels(), fetchExamples()]);
    state.examples = examples;
    showModels(models);
  } catch (problem) {
    showProblem(problem);
  }
}

async function fetchExamples() {
  if (Object.keys(state.examples).length) return state.examples;
  return (await fetch(address("page/examples.json"))).json();
}

function showModels(models) {
  if (JSON.stringify(models) === JSON.stringify(state.models) && models.length) return;
  state.models = models;
  fill(byId("model"), models.map(({ name }) => ({ value: name, text: name, usable: true })));
  const wanted = state.model?.name ?? linked();
  const model = models.find(({ name }) => name === wanted) ?? models[0];
  byId("send").disabled = !model;
  if (model) choose(model);
  else showProblem(new ServerError("This server has no model yet. Write one to its folder with kbert export."));
}

/** The model that the address of the page names: #films. */
function linked() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

function choose(model) {
  byId("model").value = model.name;
  if (state.model && state.model.name !== model.name) clearAnswer();
  const version = state.model?.name === model.name ? byId("version").value : "";
  const choices = versionChoices(model);
  fill(byId("version"), choices);
  byId("version").value = choices.some(({ value, usable }) => value === version && usable) ? version : "";
  const names = Object.keys(model.signatures ?? {}).sort();
  const name = state.model?.name === model.name && names.includes(state.signatureName) ? state.signatureName : "";
  state.model = model;
  fill(byId("signature"), names.map((value) => ({ value, text: value, usable: true })));
  byId("signature-field").hidden = names.length < 2 || viewOf(model, firstSignature(model)) !== null;
  byId("facts").replaceChildren(...facts(model).map((fact) => element("li", {}, fact)));
  history.replaceState(null, "", `#${encodeURIComponent(model.name)}`);
  chooseSignature(name || firstSignature(model));
}

function chooseSignature(name) {
  state.signatureName = name ?? "";
  byId("signature").value = state.signatureName;
  const signature = currentSignature();
  state.view = viewOf(state.model, name);
  state.fields = signature ? fieldsOf(signature) : [];
  byId("fields").replaceChildren(...state.fields.map(({ block }) => block));
  for (const { name: fieldName, area } of state.fields) {
    const key = JSON.stringify([state.model.name, state.signatureName, fieldName]);
    area.value = kept.get(key) ?? area.value;
    area.addEventListener("input", () => kept.set(key, area.value));
  }
  byId("send").disabled = !signature;
  byId("why-field").hidden = !state.view || !explains(state.model);
  showCode();
}

function currentSignature() {
  return state.model?.signatures?.[state.signatureName];
}

function fieldsOf(signature) {
  const examples = (state.view && state.examples[state.model.manifest.task]) ?? {};
  const order = state.view ? state.model.manifest.text_inputs : null;
  const fields = makeFields(signature, order, examples, isByRow(signature), state.view?.labels);
  if (state.view?.lines) fields.push(linesField("lines", state.view.lines, examples.lines ?? []));
  return fields;
}

function fill(select, choices) {
  const options = choices.map(({ value, text, usable }) => element("option", { value, disabled: !usable }, text));
  select.replaceChildren(...options);
}

// === The request ===

/** The request of the form: its path, its body and its texts. Throws a FieldError if a field holds no JSON. */
function currentRequest() {
  const signature = currentSignature();
  const fields = state.fields.filter(({ name }) => name in signature.inputs);
  const rows = [Object.fromEntries(fields.map(({ name, json }) => [name, json()]))];
  const texts = Object.fromEntries(state.fields.map(({ name, lines, text }) => [name, lines ? lines() : text()]));
  if (state.view?.lines) rows.push(...texts.lines.map((line) => ({ [fields[0].name]: JSON.stringify(line) })));
  const path = predictPath(state.model.name, byId("version").value);
  return { path, rows, body: requestBody(state.signatureName, rows, isByRow(signature)), texts };
}

function showCode() {
  byId("copied").textContent = "";
  if (!currentSignature()) return;
  try {
    const { path, body } = currentRequest();
    const isCurl = document.querySelector("input[name=language]:checked").value === "curl";
    byId("code").textContent = (isCurl ? asCurl : asPython)(address(path), body, apiKey() !== "");
  } catch (problem) {
    if (!(problem instanceof FieldError)) throw problem;
    byId("code").textContent = problem.message;
  }
}

/** Stops the request that is running, and returns the controller of the next one. */
function startRunning() {
  state.running?.abort();
  state.running = new AbortController();
  return state.running;
}

async function send() {
  if (!currentSignature()) return;
  let running = startRunning();
  const { view, model } = state;
  const signature = currentSignature();
  byId("ask").setAttribute("aria-busy", "true");
  try {
    const { path, rows, body, texts } = currentRequest();
    const { text, answer, milliseconds } = await predict(path, body, running.signal);
    clearAnswer();
    byId("timing").textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
    const answers = answerRows(answer, signature);
    showAnswer(view, answers, texts, text);
    if (byId("why-field").hidden || !byId("why").checked) return;
    running = null;
    await explain({ path, rows, texts, model, answer: answers[0] });
  } catch (problem) {
    if (problem.name === "AbortError") return;
    showProblem(problem);
  } finally {
    if (running && state.running === running) byId("ask").removeAttribute("aria-busy");
  }
}

/** Explains an answer, or the part of it that `choice` names, and offers its other parts. */
async function explain(asked, choice = {}) {
  const { path, rows, texts, model, answer } = asked;
  const running = startRunning();
  byId("ask").setAttribute("aria-busy", "true");
  try {
    const found = await predict(path, explanationBody(model, rows, choice), running.signal);
    const buttons = choiceButtons(model, answer, (other) => explain(asked, other));
    const block = showExplanation(found.answer.predictions[0], texts, model.manifest.text_inputs, buttons);
    document.querySelector("#result .why")?.remove();
    byId("result").append(block);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    showProblem(problem);
  } finally {
    if (state.running === running) byId("ask").removeAttribute("aria-busy");
  }
}

// === The answer ===

function showAnswer(view, rows, texts, json) {
  byId("raw-text").textContent = pretty(json);
  byId("raw").hidden = false;
  byId("raw").open = !view || !rows;
  if (!view || !rows) {
    byId("summary").classList.remove("unseen");
    byId("summary").textContent = `Outputs: ${Object.keys(currentSignature().outputs).join(", ")}`;
    return;
  }
  const { summary, share, isRepeated, parts } = view.show(rows, texts);
  byId("summary").classList.toggle("unseen", isRepeated === true);
  byId("summary").replaceChildren(summary, ...(share === undefined ? [] : [element("span.value", {}, percent(share))]));
  byId("result").replaceChildren(...parts);
}

function clearAnswer() {
  state.running?.abort();
  for (const id of ["problem", "summary", "timing", "raw-text"]) byId(id).textContent = "";
  byId("result").replaceChildren();
  byId("raw").hidden = true;
}

function showProblem(problem) {
  clearAnswer();
  byId("problem").textContent = problem.message;
  if (problem.status === 401) byId("key-field").hidden = false;
  if (!(problem instanceof ServerError || problem instanceof FieldError)) throw problem;
}

// === Events ===

async function copy() {
  const text = byId("code").textContent;
  try {
    await navigator.clipboard.writeText(text);
    byId("copied").textContent = "Copied";
    byId("copy").textContent = "Copied";
    setTimeout(() => (byId("copy").textContent = "Copy"), 1500);
  } catch {
    // Browsers give pages without TLS no clipboard: the text is selected instead, ready for Ctrl+C.
    getSelection().selectAllChildren(byId("code"));
    byId("copied").textContent = "Selected; press Ctrl+C to copy";
  }
}

byId("model").addEventListener("change", ({ target }) => {
  choose(state.models.find(({ name }) => name === target.value));
});
byId("version").addEventListener("change", showCode);
byId("key").addEventListener("change", ({ target }) => {
  keepApiKey(target.value);
  clearAnswer();
  showCode();
  refresh();
});
byId("signature").addEventListener("change", ({ target }) => {
  clearAnswer();
  chooseSignature(target.value);
});
byId("fields").addEventListener("input", showCode);
for (const radio of document.querySelectorAll("input[name=language]")) radio.addEventListener("change", showCode);
byId("copy").addEventListener("click", copy);
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  send();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh();
});
refresh();
