// The chat: questions go to the server, and its replies become messages with buttons for feedback.
import { byId, element, linked } from "./dom.js";
import { send } from "./server.js";
import { TEXTS, firstLanguage, rememberLanguage } from "./texts.js";

const form = byId("ask");
const field = byId("question");
const messages = byId("messages");
const problem = byId("problem");

let language = firstLanguage();
let info = null;
let conversation = null;
let busy = false;

const text = (name) => TEXTS[language][name];
const langOf = (value) => (/[\u3400-\u9fff]/.test(value) ? "zh" : "en");

// === The page ===

/** Writes the texts of the page in its language. */
function translate() {
  document.documentElement.lang = language;
  document.title = text("title");
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", text(node.dataset.label));
  field.placeholder = text("placeholder");
  const other = byId("language");
  other.textContent = language === "en" ? "中文" : "English";
  other.lang = language === "en" ? "zh" : "en";
  if (info) {
    const days = info.retention_days;
    byId("privacy").textContent = text(days ? "keeps" : "keepsAll").replace("{count}", days);
  }
}

/** Shows the greeting and some questions that the FAQs answer. */
function welcome() {
  const examples = (info?.examples ?? []).map((question) =>
    element("button.chip", { type: "button", lang: langOf(question), click: () => ask(question) }, question),
  );
  const parts = [element("p", { "data-text": "welcome" }, text("welcome"))];
  if (examples.length) {
    parts.push(element("p.hint", { "data-text": "examples" }, text("examples")), element("div.chips", {}, ...examples));
  }
  messages.replaceChildren(message("app", ...parts));
}

/** Makes a message of the customer ("you") or of the app ("app"). */
function message(who, ...children) {
  return element(`div.message.${who}`, {}, element("span.unseen", { "data-text": who }, text(who)), ...children);
}

function show(node) {
  messages.append(node);
  node.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

// === Questions ===

async function ask(question) {
  if (busy || !question.trim()) return;
  if (info && [...question.trim()].length > info.longest_question) {
    problem.textContent = text("long").replace("{count}", info.longest_question);
    return;
  }
  busy = true;
  form.setAttribute("aria-busy", "true");
  problem.textContent = "";
  field.value = "";
  show(message("you", element("p", { lang: langOf(question) }, question)));
  const waiting = message("app", element("span.dots", { role: "img", "aria-label": text("thinking") }, "", element("i"), element("i"), element("i")));
  show(waiting);
  try {
    const reply = await send("POST", "api/ask", { question, conversation });
    conversation = reply.conversation;
    byId("forget").hidden = false;
    waiting.remove();
    show(replyMessage(reply));
  } catch (error) {
    waiting.remove();
    fail(error);
    if (!field.value) field.value = question;
  } finally {
    busy = false;
    form.removeAttribute("aria-busy");
    field.focus();
  }
}

/** Shows an error, and forgets a conversation that the server does not have. */
function fail(error) {
  if (error.status === 404) conversation = null;
  const names = { 0: "offline", 404: "gone", 409: "gone", 503: "busy" };
  if (error.status === 409) conversation = null;
  problem.textContent = names[error.status] ? text(names[error.status]) : `${text("failed")} ${error.message}`;
}

// === Replies ===

function replyMessage(reply) {
  if (reply.decision === "answer") return answerMessage(reply);
  if (reply.decision === "hand_over") return handOverMessage(reply);
  return message("app", element("p", { lang: reply.language }, reply.text));
}

function answerMessage(reply) {
  const parts = [answerText(reply.text), element("p.hint", {}, ...about(reply))];
  return message("app", ...parts, thumbs(reply));
}

function answerText(value) {
  return element("p.answer", { lang: langOf(value) }, ...linked(value));
}

/** What the answer is about: the question of the FAQ, and whether the question before was needed. */
function about(reply) {
  const parts = [
    element("span", { "data-text": "about" }, text("about")), " ",
    element("span", { lang: langOf(reply.faq.question) }, reply.faq.question),
  ];
  if (reply.used_context) parts.push(" · ", element("span", { "data-text": "withContext" }, text("withContext")));
  return parts;
}

function handOverMessage(reply) {
  const parts = [
    element("p.title", { "data-text": "handOver" }, text("handOver")),
    element("p", { lang: reply.language }, reply.text),
  ];
  if (reply.contact) parts.push(element("p.contact", {}, ...linked(reply.contact)));
  if (reply.reason === "unsure" && reply.suggestions.length) {
    parts.push(
      element("p.hint", {},
        element("span", { "data-text": "score" }, text("score")), ` ${reply.confidence.toFixed(2)}, `,
        element("span", { "data-text": "below" }, text("below")), ` ${reply.threshold.toFixed(2)}`),
    );
  }
  const node = message("app", ...parts);
  node.classList.add("person");
  if (["unsure", "repeated"].includes(reply.reason) && reply.suggestions.length) node.append(choices(reply, "maybe"));
  return node;
}

// === Feedback ===

/** The buttons below an answer. */
function thumbs(reply) {
  const status = element("span.hint", { role: "status" });
  const row = element("div.feedback", { role: "group", "aria-label": text("helpful"), "data-label": "helpful" });
  const buttons = [true, false].map((helpful) =>
    element("button.thumb", {
      type: "button", "aria-pressed": "false", "data-label": helpful ? "yes" : "no", "aria-label": text(helpful ? "yes" : "no"),
      click: () => judge(helpful),
    }, thumbIcon(helpful)),
  );
  row.append(element("span.hint", { "data-text": "helpful" }, text("helpful")), ...buttons, status);

  async function judge(helpful) {
    try {
      await send("POST", "api/feedback", { conversation: reply.conversation, turn: reply.turn, helpful });
    } catch (error) {
      fail(error);
      return;
    }
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String((place === 0) === helpful)));
    status.textContent = text(helpful ? "thanks" : "noted");
    row.parentElement.querySelector(".choices")?.remove();
    if (!helpful && reply.suggestions.length) row.after(choices(reply, "right"));
  }

  return row;
}

/** Questions of FAQs to choose from. The chosen one is answered, and remembered as the right one. */
function choices(reply, title) {
  const list = element("div.choices", {}, element("p.hint", { "data-text": title }, text(title)));
  const helpful = reply.decision === "answer" ? { helpful: false } : {};
  for (const faq of reply.suggestions) {
    list.append(
      element("button.chip", {
        type: "button", lang: langOf(faq.question),
        click: async () => {
          try {
            const values = { conversation: reply.conversation, turn: reply.turn, right_faq: faq.id, ...helpful };
            const chosen = await send("POST", "api/feedback", values);
            list.remove();
            show(message("you", element("p", { lang: langOf(faq.question) }, faq.question)));
            show(message("app", answerText(chosen.answer)));
          } catch (error) {
            fail(error);
          }
          field.focus();
        },
      }, faq.question),
    );
  }
  list.append(element("button.chip.none", { type: "button", "data-text": "none", click: () => { list.remove(); field.focus(); } }, text("none")));
  return list;
}

function thumbIcon(up) {
  const name = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(name, "svg");
  const path = document.createElementNS(name, "path");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  if (!up) icon.classList.add("down");
  path.setAttribute("d", "M7 10v10H4V10zM7 10l4-7c1.500 0 2.500 1 2.500 2.500L13 9h5.500c1.200 0 2 1.100 1.700 2.200l-1.900 7.200c-.2 1-1 1.600-2 1.600H7");
  icon.append(path);
  return icon;
}

// === Buttons ===

async function callPerson() {
  if (!conversation) return ask(language === "zh" ? "我要转人工" : "I want to talk to a person");
  try {
    const { contact } = await send("POST", `api/conversations/${encodeURIComponent(conversation)}/person`, {});
    const node = message("app", element("p.title", { "data-text": "handOver" }, text("handOver")), element("p", { "data-text": "called" }, text("called")));
    if (contact) node.append(element("p.contact", {}, ...linked(contact)));
    node.classList.add("person");
    show(node);
  } catch (error) {
    fail(error);
  }
}

/** Deletes the conversation after a second press, so that nobody deletes it by accident. */
async function forget() {
  const button = byId("forget");
  if (button.dataset.text !== "forgetSure") {
    label(button, "forgetSure");
    setTimeout(() => label(button, "forget"), 4000);
    return;
  }
  try {
    await send("DELETE", `api/conversations/${encodeURIComponent(conversation)}`);
  } catch (error) {
    if (error.status !== 404) return fail(error);
  }
  conversation = null;
  button.hidden = true;
  label(button, "forget");
  welcome();
  messages.prepend(message("app", element("p.hint", { "data-text": "forgotten" }, text("forgotten"))));
  field.focus();
}

function label(button, name) {
  button.dataset.text = name;
  button.textContent = text(name);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(field.value);
});
field.addEventListener("keydown", (event) => {
  // While an input method composes Chinese, Enter chooses a word.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    ask(field.value);
  }
});
byId("person").addEventListener("click", callPerson);
byId("forget").addEventListener("click", forget);
byId("language").addEventListener("click", () => {
  language = language === "en" ? "zh" : "en";
  rememberLanguage(language);
  translate();
});

translate();
try {
  info = await send("GET", "api/info");
  translate();
} catch (error) {
  fail(error);
}
welcome();
field.focus();
