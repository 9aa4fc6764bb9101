// Talks to the server that the page comes from.

import { parse } from "./json_text.js";

const KEY = "kbert-api-key";

/** An answer that is an error; the message is one line for people, the status is that of HTTP or 0. */
export class ServerError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** The API key, which the browser keeps until the tab is closed; "" for none. */
export function apiKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // The browser keeps nothing for this page.
  }
}

/** Keeps an API key. */
export function keepApiKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** The address of a path of the server, also where a proxy puts the server below a folder. */
export function address(path) {
  return new URL(path, document.baseURI).href;
}

/** The models that are served: the content of /kbert/models. */
export async function listModels() {
  const { text } = await ask("kbert/models", { headers: { Accept: "application/json" } });
  return parse(text).models;
}

/**
 * Sends a predict request.
 * @returns {Promise<{text: string, answer: Object, milliseconds: number}>} The answer as text and as an object.
 */
export async function predict(path, body, signal) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const started = performance.now();
  const { text } = await ask(path, { method: "POST", headers, body, signal });
  const milliseconds = performance.now() - started;
  return { text, answer: parse(text), milliseconds };
}

async function ask(path, options) {
  if (apiKey()) options.headers.Authorization = `Bearer ${apiKey()}`;
  let reply;
  let text;
  try {
    reply = await fetch(address(path), options);
    text = await reply.text();
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new ServerError(`The server at ${address("")} does not answer (${problem.message}).`);
  }
  if (!reply.ok) {
    const said = `${reply.status} ${reply.statusText}: ${message(text)}`;
    throw new ServerError(said.replace(/\s+/g, " "), reply.status);
  }
  return { text };
}

/** The message of an error: the server's own where it is JSON, else the beginning of what came. */
function message(text) {
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text.slice(0, 500) || "no message";
  }
}
