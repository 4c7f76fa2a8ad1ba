/** What the page says to its server. */

const token = new URLSearchParams(location.search).get("token") ?? "";

/**
 * The answer to a request: its status, and its JSON, or its text where it is none.
 *
 * @param {string} method
 * @param {string} path
 * @param {any} [body] sent as JSON
 * @returns {Promise<{status: number, value: any, text: string}>}
 */
export async function ask(method, path, body) {
  /** @type {{[name: string]: string}} */
  const headers = { "X-Token": token };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const answer = await fetch(path, { method, headers, body: sent });
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.startsWith("application/json");
  return { status: answer.status, value: isJson ? JSON.parse(text) : null, text };
}
