// The theme: that of the system, or the one that was chosen with the switch, which the browser remembers.
(() => {
  "use strict";
  const KEY = "kbert-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // The browser keeps nothing for this page.
    }
  }

  function isDark() {
    const theme = document.documentElement.dataset.theme;
    return theme ? theme === "dark" : system.matches;
  }

  function describe() {
    document.getElementById("theme")?.setAttribute("aria-pressed", String(isDark()));
  }

  function toggle() {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // The theme lasts until the page is left.
    }
    describe();
  }

  const theme = chosen();
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  system.addEventListener("change", describe);
  document.addEventListener("DOMContentLoaded", () => {
    describe();
    document.getElementById("theme").addEventListener("click", toggle);
  });
})();
