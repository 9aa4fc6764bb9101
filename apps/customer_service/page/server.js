// Requests to the server.

/** An answer of the server that is an error. `status` is 0 if there is no answer. */
export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Sends a request.
 * @param {string} method - The HTTP method.
 * @param {string} path - The path, without a slash before it.
 * @param {Object} [values] - The JSON object in the body.
 * @returns {Promise<Object|null>} The JSON of the answer; null if it has none.
 */
export async function send(method, path, values) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: values ? { "content-type": "application/json" } : {},
      body: values && JSON.stringify(values),
    });
  } catch {
    throw new Problem(0, "no answer");
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer?.error ?? "");
  return answer;
}
