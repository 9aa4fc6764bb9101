// The theme: that of the system, or the one that was chosen with the switch, which the browser remembers.
(() => {
  "use strict";
  const KEY = "customer-service-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // The browser keeps nothing for this page.
    }
  }

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }

  function describe() {
    document.getElementById("theme")?.setAttribute("aria-pressed", String(isDark()));
  }

  function toggle() {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, root.dataset.theme);
    } catch {
      // The theme lasts until the page is left.
    }
    describe();
  }

  const theme = remembered();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  system.addEventListener("change", describe);
  document.addEventListener("DOMContentLoaded", () => {
    describe();
    document.getElementById("theme").addEventListener("click", toggle);
  });
})();
