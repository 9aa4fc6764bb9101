// Fetches the page every half minute, and replaces its content; opened parts stay open.
(() => {
  "use strict";
  const SECONDS = 30;

  async function refresh() {
    const main = document.querySelector("main");
    if (document.hidden || main.contains(document.activeElement)) return; // nobody looks, or somebody is reading
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const opened = new Set([...main.querySelectorAll("details[open]")].map((each) => each.dataset.key));
    for (const each of next.querySelectorAll("details")) each.open = opened.has(each.dataset.key);
    document.title = next.title;
    main.replaceWith(next.querySelector("main"));
  }

  setInterval(() => refresh().catch(() => {}), SECONDS * 1000); // a server that restarts is asked again
})();
