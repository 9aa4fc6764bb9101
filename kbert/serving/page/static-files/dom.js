// Builds elements without HTML in strings, so that texts of models and of people are only ever text.

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
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** The element of an id. */
export function byId(id) {
  return document.getElementById(id);
}
