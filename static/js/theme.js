// Runs before the first paint, so that a chosen theme does not flash. Without it the system's theme shows.
(() => {
  const root = document.documentElement;
  root.dataset.js = "";
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // storage may be forbidden; the system's theme it is
  }
})();
