// How the scripts lie: small folders, imports that are there, and no ring of imports.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "../../ui/static");
const MAX_FILES_IN_FOLDER = 12;

const files = readdirSync(ROOT, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
const importsOf = (file) =>
  [...readFileSync(join(ROOT, file), "utf8").matchAll(/^(?:import|export) [^;]*?from "([^"]+)";/gms)].map(
    ([, path]) => join(dirname(file), path),
  );
const imports = new Map(files.filter((file) => file.endsWith(".js")).map((file) => [file, importsOf(file)]));

test("a folder holds at most twelve files", () => {
  const counts = {};
  for (const file of files) counts[dirname(file)] = (counts[dirname(file)] ?? 0) + 1;
  assert.deepEqual(
    Object.entries(counts).filter(([, count]) => count > MAX_FILES_IN_FOLDER),
    [],
  );
});

/** Scripts of workers, which pages name by their address. */
const workersOf = (file) =>
  [...readFileSync(join(ROOT, file), "utf8").matchAll(/new SharedWorker\(new URL\("([^"]+)"/g)].map(([, path]) =>
    join(dirname(file), path),
  );

test("every import leads to a script, and every script is reached from main.js or is a worker's", () => {
  const reached = new Set();
  const visit = (file) => {
    if (reached.has(file)) return;
    reached.add(file);
    assert.ok(imports.has(file), `${file} is imported and not there`);
    [...imports.get(file), ...workersOf(file)].forEach(visit);
  };
  visit("main.js");
  assert.deepEqual([...imports.keys()].filter((file) => !reached.has(file)), []);
});

test("no imports run in a ring", () => {
  const done = new Set();
  const visit = (file, trail) => {
    assert.ok(!trail.includes(file), `a ring: ${[...trail, file].join(" → ")}`);
    if (done.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...trail, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
});
