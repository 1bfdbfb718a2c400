// When two names of artists or genres are the same, by the rule of batch/library/labels.py: `spelling_key`. Pure logic.

/** @type {Record<string, string>} letters whose mark Unicode does not take apart; final sigma is a sigma */
const LETTERS = { ø: "o", ł: "l", đ: "d", ħ: "h", ŧ: "t", ı: "i", æ: "ae", œ: "oe", ς: "σ" };

/**
 * What names that differ only in case, blanks or diacritics have in common.
 * @param {string} name
 */
export function spellingKey(name) {
  const folded = inOneCase(name);
  const letters = folded.normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
  return inOneCase(letters.replace(/[øłđħŧıæœς]/g, (letter) => LETTERS[letter] ?? letter)) || folded || name;
}

/**
 * The name in lower case, "ß" as "ss", with single blanks.
 * @param {string} name
 */
const inOneCase = (name) => name.toUpperCase().toLowerCase().replace(/\s+/g, " ").trim();
