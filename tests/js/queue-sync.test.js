// The queue on the server: changes of two devices become one, the latest counts, and nothing that was queued is lost.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { QueueSync } from "../../ui/static/playback/queue/queue-sync.js";
import { fromWire, merged, toWire } from "../../ui/static/playback/queue/queue-wire.js";
import { Queue } from "../../ui/static/playback/queue/queue.js";

const track = (id) => ({ id, title: id, artist: "Band", durationMs: 1000, source: "album", modelVersion: "m7" });
const tracks = (ids) => [...ids].map(track);
const idsOf = (list) => list.map(({ id }) => id).join("");
const ALBUM = { kind: "album", id: "1", title: "Hours", address: "#/album/1" };

/** What is kept of a page: own additions, the list, the track in place. */
const playback = (own, list, current, context = ALBUM) => ({
  queue: { ...new Queue().state(), items: tracks(own), list: tracks(list), context: list ? context : null },
  track: current ? { ...track(current), positionMs: 1500 } : null,
});
const read = ({ queue, track: current }) => `${idsOf(queue.items)}|${idsOf(queue.list)}|${current?.id ?? ""}`;

describe("changes of two devices", () => {
  for (const [what, mine, theirs, base, expected] of [
    ["nothing changed here: theirs", ["a", "xy", "p"], ["ab", "y", "x"], ["a", "xy", "p"], "ab|y|x"],
    ["nothing changed there: mine", ["ac", "y", "x"], ["a", "xy", "p"], ["a", "xy", "p"], "ac|y|x"],
    ["additions of both are kept", ["ab", "xy", "p"], ["ac", "xy", "p"], ["a", "xy", "p"], "abc|xy|p"],
    ["what either removed stays away", ["b", "xy", "p"], ["a", "xy", "p"], ["ab", "xy", "p"], "|xy|p"],
    ["both play on: the list and track of here, later", ["", "uv", "t"], ["", "y", "x"], ["", "xy", "p"], "|uv|t"],
    ["the same track queued twice stays twice", ["aa", "", "p"], ["a", "", "p"], ["a", "", "p"], "aa||p"],
  ]) {
    test(what, () => assert.equal(read(merged(playback(...mine), playback(...theirs), playback(...base))), expected));
  }

  test("without a common origin nothing counts as removed, and what plays here goes on", () => {
    assert.equal(read(merged(playback("ab", "xy", "p"), playback("bc", "uv", "t"), null)), "abc|xy|p");
    assert.equal(read(merged(playback("", "", ""), playback("bc", "uv", "t"), null)), "bc|uv|t");
  });
});

test("the queue comes back from the server as it was sent", () => {
  const queue = new Queue(() => {}, () => 0.4);
  queue.playFrom(ALBUM, tracks("abcdef"), "b");
  queue.toggleShuffle();
  queue.add(...tracks("xy"));
  queue.take();
  const sent = toWire({ queue: queue.state(), track: { ...track("x"), positionMs: 1234.5 } });
  assert.deepEqual(sent.current, { id: "x", source: "album", model_version: "m7", position_ms: 1235 });
  assert.equal(sent.context.model_version, "m7");
  const byId = (ids) => ids.map(track);
  const stored = {
    ...{ revision: 3, listener: "ana", device: "d" },
    ...{ current: { ...track("x"), positionMs: 1235 }, items: byId(sent.items.map(({ id }) => id)) },
    ...{ played: byId(sent.played.map(({ id }) => id)), context: ALBUM, list: byId(sent.list_ahead) },
    ...{ listPlayed: byId(sent.list_played), order: sent.order, shuffle: true, seed: sent.seed, repeat: "off" },
  };
  assert.deepEqual(fromWire(stored).queue, queue.state());
});

/** A server that keeps one queue, as ui/playback/store.py does. */
class Server {
  revision = 0;
  stored = playback("", "", "");
  listener = "ana";
  isAway = false;
  posts = 0;

  get = async () => {
    if (this.isAway) return { ok: false, status: 0, error: "away" };
    const { queue, track: current } = this.stored;
    return { ok: true, status: 200, listener: this.listener, revision: this.revision, device: "", ...queue, current };
  };

  post = async ({ revision, listener, device: _device, ...wire }) => {
    this.posts += 1;
    if (this.isAway) return { ok: false, status: 0, error: "away" };
    if (listener !== this.listener) return { ok: false, status: 409, error: "someone else" };
    if (revision !== this.revision) return { ok: true, status: 200, saved: false };
    this.revision += 1;
    const list = wire.list_ahead.map(track);
    this.stored = playback(wire.items.map(({ id }) => id), "", wire.current?.id);
    Object.assign(this.stored.queue, { list, context: wire.context && ALBUM });
    return { ok: true, status: 200, saved: true };
  };
}

/** A page with its queue. */
function page(server, has = playback("", "", "")) {
  const own = { has, saved: 0 };
  own.sync = new QueueSync({
    get: server.get,
    post: server.post,
    current: () => own.has,
    adopt: (adopted) => (own.has = adopted),
    onSaved: () => (own.saved += 1),
    onSettings: () => {},
    device: "d",
  });
  return own;
}

describe("a page", () => {
  let server;

  beforeEach(() => (server = new Server()));

  test("saves what it has where nothing was saved before, and nothing twice", async () => {
    const here = page(server, playback("ab", "xy", "p"));
    await here.sync.show("ana", false);
    assert.equal(read(server.stored), "ab|xy|p");
    await here.sync.flush();
    assert.deepEqual([server.posts, here.sync.isSaved], [1, true]);
  });

  test("takes over what another device has saved", async () => {
    const [here, there] = [page(server), page(server)];
    await here.sync.show("ana", false);
    await there.sync.show("ana", false);
    there.has = playback("abc", "xy", "p");
    await there.sync.flush();
    await here.sync.pull();
    assert.equal(read(here.has), "abc|xy|p");
    assert.equal(server.revision, 1, "taking over is no change");
  });

  test("saves what is changed in the queue that it has taken over", async () => {
    server.revision = 2;
    server.stored = playback("abc", "xy", "p");
    const here = page(server);
    await here.sync.show("ana", false);
    here.has.queue.items.splice(1, 1); // as the queue does, in place
    await here.sync.flush();
    assert.equal(read(server.stored), "ac|xy|p");
  });

  test("that was away while another device saved brings its own additions in", async () => {
    const [here, there] = [page(server), page(server)];
    await here.sync.show("ana", false);
    await there.sync.show("ana", false);
    here.has = playback("ab", "xy", "p");
    there.has = playback("cd", "", "");
    await there.sync.flush();
    await here.sync.flush();
    assert.equal(read(server.stored), "abcd|xy|p");
    assert.equal(read(here.has), "abcd|xy|p");
    await there.sync.pull();
    assert.equal(read(there.has), "abcd|xy|p");
  });

  test("that is opened again with changes which the server lacks sends them", async () => {
    server.revision = 5;
    server.stored = playback("c", "uv", "t");
    const here = page(server, playback("ab", "xy", "p"));
    assert.equal(here.sync.isSaved, false);
    await here.sync.show("ana", true);
    assert.equal(read(server.stored), "abc|xy|p");
    assert.equal(here.sync.isSaved, true);
  });

  test("saves nothing in another listener's name, and nothing for nobody", async () => {
    const here = page(server, playback("ab", "", "p"));
    await here.sync.show("bob", true);
    await here.sync.show(null, true);
    await here.sync.flush();
    assert.deepEqual([server.posts, read(here.has)], [0, "ab||p"]);
  });

  test("keeps its changes while the server is away", async () => {
    const here = page(server);
    await here.sync.show("ana", false);
    server.isAway = true;
    here.has = playback("ab", "", "p");
    await here.sync.flush();
    assert.equal(here.sync.isSaved, false);
    server.isAway = false;
    await here.sync.flush();
    assert.equal(read(server.stored), "ab||p");
    assert.equal(here.sync.isSaved, true);
    here.sync.show(null, false); // ends its timer
  });
});
