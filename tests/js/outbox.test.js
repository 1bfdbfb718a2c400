// The outbox: order, repetition while the server is unavailable, and whose events are whose.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { MAX_QUEUED_EVENTS, Outbox, RETRY_MS, uuid } from "../../ui/static/account/outbox.js";

const OK = { ok: true, status: 202 };
const refusal = (status) => ({ ok: false, status, error: "refused" });

let answers; // of the next requests; OK when they are used up
let arrived;
let results;
let listener;
let now;
let waits;
let outbox;

beforeEach(() => {
  answers = [];
  arrived = [];
  results = [];
  listener = "ana";
  now = Date.UTC(2026, 0, 1);
  waits = [];
  let id = 0;
  outbox = new Outbox({
    post: async (event) => {
      const answer = answers.shift() ?? OK;
      if (answer.ok) arrived.push(event);
      return answer;
    },
    listener: () => listener,
    onResult: (result) => results.push(result.status),
    id: () => `e${(id += 1)}`,
    now: () => now,
    wait: async (milliseconds) => {
      waits.push(milliseconds);
      now += milliseconds;
    },
  });
});

const names = () => arrived.map(({ name }) => name).join("");

describe("sending", () => {
  test("keeps the order, one at a time", async () => {
    await Promise.all([outbox.send({ name: "a" }), outbox.send({ name: "b" }), outbox.send({ name: "c" })]);
    assert.equal(names(), "abc");
    assert.deepEqual(arrived[0], { event_id: "e1", listener: "ana", name: "a" });
    assert.deepEqual(results, [202, 202, 202]);
  });

  test("repeats an event with the same id while the server is unavailable, and nothing overtakes it", async () => {
    answers = [refusal(0), refusal(503), refusal(409), refusal(429)];
    await Promise.all([outbox.send({ name: "a" }), outbox.send({ name: "b" })]);
    assert.equal(names(), "ab");
    assert.equal(arrived[0].event_id, "e1");
    assert.deepEqual(waits, [RETRY_MS, RETRY_MS, RETRY_MS, RETRY_MS]);
    assert.deepEqual(results, [0, 503, 409, 429, 202, 202]);
  });

  test("keeps an event of a listener whose session has ended until they are back", async () => {
    answers = [refusal(401)];
    await outbox.send({ name: "a" });
    assert.equal(names(), "");
    await outbox.flush();
    assert.equal(names(), "a");
    assert.deepEqual(waits, []);
  });

  test("drops an event that the server refuses for good", async () => {
    for (const status of [404, 422]) {
      answers = [refusal(status)];
      await outbox.send({ name: "x" });
    }
    await outbox.send({ name: "a" });
    assert.equal(names(), "a");
  });

  test("a late event carries its time, a prompt one the server's", async () => {
    answers = [refusal(0), refusal(0)];
    await outbox.send({ name: "a" });
    assert.equal(arrived[0].occurred_at, "2026-01-01T00:00:00.000Z");
    await outbox.send({ name: "b" });
    assert.equal("occurred_at" in arrived[1], false);
  });

  test("holds at most MAX_QUEUED_EVENTS, the first ones", async () => {
    let reconnect;
    answers = [new Promise((resolve) => (reconnect = () => resolve(refusal(0))))];
    for (let number = 0; number < MAX_QUEUED_EVENTS + 5; number += 1) outbox.send({ name: `${number} ` });
    reconnect();
    await outbox.flush();
    while (arrived.length < MAX_QUEUED_EVENTS) await new Promise(setImmediate);
    assert.deepEqual([arrived.length, arrived.at(-1).name], [MAX_QUEUED_EVENTS, `${MAX_QUEUED_EVENTS - 1} `]);
  });
});

describe("the listener of an event", () => {
  test("gets their event when they are back, never another one", async () => {
    // The server is away while ana listens; bob comes before it is back.
    answers = [refusal(0)];
    const sending = outbox.send({ name: "a" });
    listener = "bob";
    await sending;
    await outbox.send({ name: "b" });
    assert.deepEqual([names(), arrived[0].listener], ["b", "bob"]);
    listener = "ana";
    now += 60_000;
    await outbox.flush();
    assert.deepEqual([names(), arrived[1].listener], ["ba", "ana"]);
    assert.equal(arrived[1].occurred_at, "2026-01-01T00:00:00.000Z");
  });

  test("what nobody does makes a guest, and is theirs, in its order", async () => {
    listener = null;
    const entered = [];
    outbox.enter = async ({ name }) => {
      entered.push(name);
      listener = "guest-1";
      return true;
    };
    await Promise.all([outbox.send({ name: "a" }), outbox.send({ name: "b" })]);
    assert.deepEqual(entered, ["a"]);
    assert.deepEqual([names(), arrived[0].listener, arrived[1].listener], ["ab", "guest-1", "guest-1"]);
  });

  test("where guests are not allowed, what nobody does waits for the name that is chosen, or is dropped", async () => {
    listener = null;
    await outbox.send({ name: "a" });
    assert.equal(names(), "");
    outbox.discardUnowned();
    await outbox.send({ name: "b" });
    listener = "ana";
    await outbox.flush();
    assert.deepEqual([names(), arrived[0].listener], ["b", "ana"]);
  });

  test("what waits for a guest is for the name that they choose", async () => {
    listener = "guest-1";
    answers = [refusal(401)];
    await outbox.send({ name: "a" });
    outbox.handOver("guest-1", "ana");
    listener = "ana";
    await outbox.flush();
    assert.deepEqual([names(), arrived[0].listener], ["a", "ana"]);
  });

  test("an event from before the listener is known waits until then, and is theirs", async () => {
    listener = undefined;
    await outbox.send({ name: "a" });
    assert.deepEqual(arrived, []);
    listener = "ana";
    await outbox.flush();
    assert.deepEqual(arrived, [{ event_id: "e1", listener: "ana", name: "a" }]);
  });
});

test("a UUID is one of version 4 with and without crypto.randomUUID", (t) => {
  const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  assert.match(uuid(), pattern);
  t.mock.getter(globalThis, "crypto", () => ({ getRandomValues: (bytes) => bytes.fill(255) }));
  assert.match(uuid(), pattern);
});

describe("what waits", () => {
  /** @type {Map<string, any>} */
  let stored;

  const open = (post) =>
    new Outbox({
      post,
      listener: () => listener,
      onResult: () => {},
      id: () => `s${stored.size + 1}`,
      load: () => [...stored.values()],
      save: (queued) => stored.set(queued.event.event_id, JSON.parse(JSON.stringify(queued))),
      forget: (queued) => stored.delete(queued.event.event_id),
      now: () => now,
      wait: () => new Promise(() => {}), // the tab is closed meanwhile
    });

  beforeEach(() => (stored = new Map()));

  test("survives its tab, in order, with its time and its listener, until the server has it", async () => {
    const closed = open(async () => refusal(0));
    closed.send({ name: "a" });
    closed.send({ name: "b" });
    assert.equal(stored.size, 2);
    now += 60_000;
    listener = "bob";
    const next = open(async (event) => (arrived.push(event), OK));
    await next.flush();
    assert.equal(names(), "", "ana's events wait for ana");
    listener = "ana";
    await next.flush();
    assert.equal(names(), "ab");
    assert.equal(arrived[0].occurred_at, "2026-01-01T00:00:00.000Z");
    assert.equal(stored.size, 0);
  });

  test("is not stored without a listener, and is dropped with the listener's data", () => {
    listener = undefined;
    open(async () => refusal(0)).send({ name: "a" });
    assert.equal(stored.size, 0);
    listener = "ana";
    const page = open(async () => refusal(0));
    page.send({ name: "a" });
    page.discard("bob");
    assert.equal(stored.size, 1);
    page.discard("ana");
    assert.equal(stored.size, 0);
  });
});
