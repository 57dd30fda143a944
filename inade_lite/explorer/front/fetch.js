// @ts-check
/** Files of the page, in the page and in the worker. */

/**
 * The name of a file, for messages.
 * @param {string} url
 */
export function nameOf(url) {
  return url.split("/").pop();
}

/**
 * The server's answer; an Error in a sentence where it has no file for us.
 * @param {string} url
 */
export async function fetchFile(url) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${nameOf(url)} could not be fetched. Is the page's server still running?`);
  }
  if (!response.ok || !response.body) {
    throw new Error(`${nameOf(url)} could not be fetched: the server answered ${response.status}.`);
  }
  return response;
}
