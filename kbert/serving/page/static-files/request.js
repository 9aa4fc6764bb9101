// A predict request: its path, its body, and its text as a command and as a program.

import { python } from "./json_text.js";

const KEY_VARIABLE = "KBERT_API_KEY"; // The environment variable that a command or a program reads.

/** Whether a signature takes and gives rows: all tensors begin with a free dimension, as far as it is known. */
export function isByRow(signature) {
  const tensors = [...Object.values(signature.inputs), ...Object.values(signature.outputs)];
  return tensors.every(({ shape }) => !shape || shape[0] === -1);
}

/** The path of a model; `choice` is "", /versions/N or /labels/L. */
export function predictPath(name, choice) {
  const [, kind, value] = choice.split(/^\/(versions|labels)\//);
  const part = kind ? `/${kind}/${encodeURIComponent(value)}` : "";
  return `v1/models/${encodeURIComponent(name)}${part}:predict`;
}

/**
 * The body of a request, as JSON.
 * @param {Object<string, string>[]} rows - The inputs of each row by name, each as JSON; one element if not `byRow`.
 */
export function requestBody(signatureName, rows, byRow) {
  const named = rows.map((row) => {
    const inputs = Object.entries(row);
    if (inputs.length === 1) return inputs[0][1];
    return `{${inputs.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(", ")}}`;
  });
  const values = byRow ? `"instances": [${named.join(", ")}]` : `"inputs": ${named[0]}`;
  const signature = signatureName === "serving_default" ? "" : `"signature_name": ${JSON.stringify(signatureName)}, `;
  return `{${signature}${values}}`;
}

/** The request as a command line of curl, for a POSIX shell; `hasKey` if the server demands an API key. */
export function asCurl(url, body, hasKey) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = hasKey ? `  -H "Authorization: Bearer $${KEY_VARIABLE}" \\\n` : "";
  return `curl -H 'Content-Type: application/json' \\\n${key}  -d ${quote(body)} \\\n  ${quote(url)}`;
}

/** The request as a Python program of the standard library; `hasKey` if the server demands an API key. */
export function asPython(url, body, hasKey) {
  const key = hasKey ? `, "Authorization": "Bearer " + os.environ["${KEY_VARIABLE}"]` : "";
  return `import json
${hasKey ? "import os\n" : ""}import urllib.request

url = ${JSON.stringify(url)}
body = ${python(body)}
headers = {"Content-Type": "application/json"${key}}
request = urllib.request.Request(url, json.dumps(body).encode(), headers)
with urllib.request.urlopen(request) as reply:
    print(json.dumps(json.load(reply), ensure_ascii=False, indent=2))
`;
}

/** The rows of an answer, each an object by output names; null if the answer has no rows. */
export function answerRows(answer, signature) {
  if (!Array.isArray(answer.predictions)) return null;
  const names = Object.keys(signature.outputs);
  // The server gives a single output without its name.
  return names.length === 1 ? answer.predictions.map((value) => ({ [names[0]]: value })) : answer.predictions;
}
