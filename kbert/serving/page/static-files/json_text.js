// JSON as text. Values are not read and written again, since JavaScript would round long integers and knows no NaN.

const TOKENS = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g;
const WIDTH = 88;

/** Reads JSON in which NaN, Infinity and -Infinity are numbers, as TensorFlow Serving writes them. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch (problem) {
    const words = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;
    const strict = text.replace(words, (token) => (token.startsWith('"') ? token : `{"$number": "${token}"}`));
    if (strict === text) throw problem;
    return JSON.parse(strict, (_, value) => (value?.$number === undefined ? value : Number(value.$number)));
  }
}

/** Indents JSON. What fits into a line stays in it, and lists of numbers fill their lines. */
export function pretty(text, indent = 2) {
  return written(nested(text.match(TOKENS) ?? []), indent, 0, (token) => token);
}

/** Writes JSON as an expression of Python, indented by four spaces. */
export function python(text) {
  return written(nested(text.match(TOKENS) ?? []), 4, 0, pythonToken);
}

function pythonToken(token) {
  const words = { true: "True", false: "False", null: "None", NaN: 'float("nan")' };
  words.Infinity = 'float("inf")';
  words["-Infinity"] = '-float("inf")';
  // Written again, because Python knows fewer escapes than JSON.
  return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : (words[token] ?? token);
}

/** Turns tokens into nested lists: a leaf is a token, a list or an object has brackets and items. */
function nested(tokens) {
  let place = 0;
  function item() {
    const token = tokens[place++];
    if (token !== "[" && token !== "{") return token ?? "";
    const close = token === "[" ? "]" : "}";
    const items = [];
    while (place < tokens.length && tokens[place] !== close) {
      const key = token === "{" ? tokens[place++] : null;
      if (key !== null) place++; // the colon
      items.push({ key, value: item() });
      if (tokens[place] === ",") place++;
    }
    place++;
    return { open: token, close, items };
  }
  return item();
}

function written(node, indent, depth, spell) {
  if (typeof node === "string") return spell(node);
  const flat = onOneLine(node, spell);
  if (flat.length + depth * indent <= WIDTH || !node.items.length) return flat;
  const pad = " ".repeat(indent * (depth + 1));
  const parts = node.items.map(({ key, value }) => {
    const start = key === null ? "" : `${spell(key)}: `;
    return start + written(value, indent, depth + 1, spell);
  });
  const numbers = node.items.every(({ key, value }) => key === null && typeof value === "string" && value[0] !== '"');
  const lines = numbers ? filled(parts, WIDTH - pad.length) : parts;
  return `${node.open}\n${pad}${lines.join(`,\n${pad}`)}\n${" ".repeat(indent * depth)}${node.close}`;
}

function onOneLine(node, spell) {
  if (typeof node === "string") return spell(node);
  const parts = node.items.map(({ key, value }) => (key === null ? "" : `${spell(key)}: `) + onOneLine(value, spell));
  return node.open + parts.join(", ") + node.close;
}

function filled(parts, width) {
  const lines = [];
  for (const part of parts) {
    const last = lines.length - 1;
    if (last >= 0 && lines[last].length + part.length + 2 <= width) lines[last] += `, ${part}`;
    else lines.push(part);
  }
  return lines;
}
