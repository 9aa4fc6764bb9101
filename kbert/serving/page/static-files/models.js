// What the page knows of a model from /kbert/models.

import { VIEWS } from "./views.js";

const METRICS = 2; // The number of metrics that are shown.

/** The signature that the page asks at first: serving_default, or else the first one. */
export function firstSignature(model) {
  const names = Object.keys(model.signatures ?? {}).sort();
  return names.includes("serving_default") ? "serving_default" : names[0];
}

/** The view for a model's answers; null where the page does not know the task, and shows JSON. */
export function viewOf(model, signatureName) {
  const view = VIEWS[model.manifest?.task];
  const signature = model.signatures?.[signatureName];
  if (!view || !signature || signatureName !== "serving_default") return null;
  const inputs = model.manifest.text_inputs ?? [];
  const known = inputs.length > 0 && inputs.every((name) => name in signature.inputs);
  return known && view.needs.every((name) => name in signature.outputs) ? view : null;
}

/** The choices of a version: the one that the server chooses, labels, and versions. */
export function versionChoices(model) {
  const versions = [...model.versions].sort((one, other) => compare(other.version, one.version));
  const choices = [{ value: "", text: "newest", usable: versions.some(isAvailable) }];
  for (const version of versions) {
    for (const label of version.labels ?? []) {
      choices.push({ value: `/labels/${label}`, text: `${label} (${version.version})`, usable: isAvailable(version) });
    }
  }
  for (const version of versions) {
    const state = isAvailable(version) ? "" : ` (${version.state.toLowerCase()})`;
    const value = `/versions/${version.version}`;
    choices.push({ value, text: version.version + state, usable: isAvailable(version) });
  }
  return choices;
}

/** Short facts about a model: its task, its labels and its metrics. */
export function facts(model) {
  const manifest = model.manifest;
  if (!manifest) return ["no manifest of kbert"];
  const said = [manifest.task];
  const labels = labelCount(manifest);
  if (labels) said.push(labels === 1 ? "1 label" : `${labels} labels`);
  const metrics = Object.entries(manifest.metrics ?? {}).filter(([name]) => name !== "examples" && name !== "loss");
  for (const [name, value] of metrics.slice(0, METRICS)) {
    said.push(`${name.replaceAll("_", " ")} ${Number(value.toPrecision(3))}`);
  }
  return said;
}

/** The number of labels. A tagger of spans has several tags for each label, such as B-person and I-person. */
function labelCount({ task, labels }) {
  if (task !== "tagging") return labels?.length ?? 0;
  return new Set((labels ?? []).filter((tag) => tag !== "O").map((tag) => tag.replace(/^[A-Z]-/, ""))).size;
}

function isAvailable(version) {
  return version.state === "AVAILABLE";
}

// Versions are compared as text, because they may be longer than JavaScript's exact integers.
function compare(one, other) {
  return String(one).length - String(other).length || (String(one) < String(other) ? -1 : 1);
}
