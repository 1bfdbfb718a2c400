// "Tap five you like": how many are still wanted.

import { find } from "../page/dom.js";

/**
 * Shows the progress where the page of the question is open.
 * @param {import("../account/opinions.js").Opinions} opinions
 */
export function showStartProgress(opinions) {
  const progress = find("#start-progress");
  const done = find("#start-done");
  if (!progress || !done) return;
  const liked = opinions.count("like");
  const wanted = Number(progress.dataset.wanted);
  const text = liked >= wanted ? "For you is ready." : `${liked} of ${wanted}`;
  if (progress.textContent !== text) progress.textContent = text;
  const label = liked >= wanted ? "Show my list" : liked ? "Done" : "Skip";
  if (done.textContent !== label) done.textContent = label;
}
