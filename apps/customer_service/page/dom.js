// Builds elements without HTML in strings, so that texts of people are only ever text.

/**
 * Makes an element.
 * @param {string} name - The name of the element, with its classes: "p.hint".
 * @param {Object} properties - Attributes; functions are listeners of the event of that name.
 * @param {...(Node|string)} children - What the element holds.
 */
export function element(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

const ADDRESS = /https?:\/\/[^\s<>"'）。，]+[^\s<>"'）。，.,;:!?)]/g;

/** The nodes of a text: addresses in it become links. */
export function linked(text) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    nodes.push(text.slice(end, found.index));
    nodes.push(element("a", { href: found[0], rel: "noopener noreferrer", target: "_blank" }, found[0]));
    end = found.index + found[0].length;
  }
  return [...nodes, text.slice(end)];
}
