// The texts of the page in English and Chinese. Answers and reasons come from the server, in the language of the question.
export const TEXTS = {
  en: {
    title: "Customer service",
    settings: "Settings",
    skip: "Skip to the question",
    dark: "Dark",
    log: "Conversation",
    question: "Your question",
    placeholder: "Type your question",
    send: "Send",
    person: "Talk to a person",
    forget: "Delete this conversation",
    forgetSure: "Delete it? Press again",
    forgotten: "The conversation was deleted.",
    welcome: "Hello! What can I help you with?",
    examples: "For example:",
    you: "You:",
    app: "Answer:",
    about: "About:",
    withContext: "understood together with your question before",
    helpful: "Was this helpful?",
    yes: "Yes",
    no: "No",
    thanks: "Thank you.",
    right: "Which of these is your question?",
    maybe: "Perhaps it is one of these:",
    none: "None of these",
    handOver: "A person will answer",
    called: "You asked for a person. This conversation was put on the list.",
    noted: "Noted.",
    thinking: "Looking for an answer",
    score: "Confidence",
    below: "below the threshold of",
    intent: "Topic:",
    offline: "The server does not answer. Try again.",
    busy: "Many people are asking now. Try again in some seconds.",
    long: "The question is too long: at most {count} characters.",
    gone: "This conversation was deleted, or is too old. A new one begins.",
    failed: "The server could not process the question.",
    keeps: "Conversations are deleted after {count} days.",
    keepsAll: "Conversations are stored until they are deleted.",
  },
  zh: {
    title: "客户服务",
    settings: "设置",
    skip: "跳到提问框",
    dark: "深色",
    log: "对话",
    question: "您的问题",
    placeholder: "请输入您的问题",
    send: "发送",
    person: "转人工客服",
    forget: "删除此对话",
    forgetSure: "确定删除？再按一次",
    forgotten: "对话已删除。",
    welcome: "您好！请问有什么可以帮您？",
    examples: "例如：",
    you: "您：",
    app: "回答：",
    about: "相关问题：",
    withContext: "结合上一个问题理解",
    helpful: "这个回答有帮助吗？",
    yes: "有",
    no: "没有",
    thanks: "谢谢。",
    right: "您想问的是哪一个？",
    maybe: "您想问的可能是：",
    none: "都不是",
    handOver: "将由人工客服回答",
    called: "您要求转接人工客服，此对话已加入等待列表。",
    noted: "已记录。",
    thinking: "正在查找答案",
    score: "置信度",
    below: "低于阈值",
    intent: "主题：",
    offline: "服务器没有响应，请重试。",
    busy: "当前咨询人数较多，请稍后重试。",
    long: "问题太长，最多 {count} 个字符。",
    gone: "此对话已删除或已过期，将开始新的对话。",
    failed: "服务器无法处理该问题。",
    keeps: "对话将在 {count} 天后删除。",
    keepsAll: "对话在被删除之前会一直保存。",
  },
};

const KEY = "customer-service-language";

/** The language of the page: the one that was chosen, or that of the browser. */
export function firstLanguage() {
  let language = null;
  try {
    language = localStorage.getItem(KEY);
  } catch {
    // The browser keeps nothing for this page.
  }
  if (language in TEXTS) return language;
  return (navigator.languages ?? [navigator.language]).some((name) => name?.startsWith("zh")) ? "zh" : "en";
}

/** Remembers the language that was chosen. */
export function rememberLanguage(language) {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // The language lasts until the page is left.
  }
}
