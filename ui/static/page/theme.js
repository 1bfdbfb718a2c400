// Light and dark: the system's choice until the listener makes another.

import { loadText, saveText } from "../storage.js";

const STORED_AS = "theme";

export const restoreTheme = () => apply(loadText(STORED_AS));

export function switchTheme() {
  const theme = document.body.classList.contains("dark") ? "light" : "dark";
  saveText(STORED_AS, theme);
  apply(theme);
}

/** @param {string | null} theme */
function apply(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.body.classList.toggle("dark", isDark); // Gradio's own switch
}
