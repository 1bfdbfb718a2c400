// Opinions: which events a change sends, what the page shows until the server answers, and undo.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { Opinions, actionsBetween, nameOf } from "../../ui/static/account/opinions.js";

const TRACK = { id: "t1", title: "Morning" };
const WORDS = ["like", "dislike", "more", "less"];

let events;
let messages;
let changes;
let opinions;

beforeEach(() => {
  events = [];
  messages = [];
  changes = 0;
  opinions = new Opinions({
    send: (event) => events.push(event),
    announce: (message, undo) => messages.push({ message, undo }),
    onChange: () => (changes += 1),
  });
});

const sent = () => events.map(({ action }) => action);
const shown = (trackId = TRACK.id) => WORDS.filter((word) => opinions.has(trackId, word)).join(" ");
const undo = () => messages.at(-1).undo();
const toggle = (word, context = {}) => opinions.toggle(word, TRACK, context);

describe("the actions between two sets of opinions", () => {
  for (const [before, after, actions] of [
    ["", "", []],
    ["", "like", ["like"]],
    ["like", "", ["unlike"]],
    ["dislike", "", ["unlike"]],
    ["like", "dislike", ["dislike"]],
    ["more", "less", ["less"]],
    ["more", "", ["neutral"]],
    ["like", "like more", ["more"]],
    ["like more", "like", ["neutral", "like"]], // neutral removes both
    ["like more", "more", ["unlike"]],
    ["like more", "", ["neutral"]],
    ["like more", "dislike", ["neutral", "dislike"]],
    ["like", "more", ["unlike", "more"]],
  ]) {
    test(`“${before}” to “${after}”: ${actions.join(", ") || "none"}`, () => {
      assert.deepEqual(actionsBetween(before.split(" ").filter(Boolean), after.split(" ").filter(Boolean)), actions);
    });
  }
});

test("a track is rejected that is disliked, or by a muted artist or of a muted genre, in any spelling", () => {
  toggle("like");
  assert.equal(opinions.rejects({ id: "t1", artistToMute: "Ana", genreToMute: "Folk" }), false);
  toggle("dislike");
  opinions.mute("artist:sigur ros");
  opinions.mute("genre:Polka");
  assert.equal(opinions.rejects({ id: "t1" }), true);
  assert.equal(opinions.rejects({ id: "t2", artistToMute: "Sigur Rós" }), true);
  assert.equal(opinions.rejects({ id: "t2", artistToMute: "", genreToMute: "polka" }), true);
  assert.equal(opinions.rejects({ id: "t2", artistToMute: "Polka", genreToMute: "sigur ros" }), false);
});

describe("a wish for a word", () => {
  test("is sent, shown at once, announced, and undone", () => {
    opinions.wish("tag:mellow", "more");
    assert.deepEqual(events, [{ action: "more", target: "tag:mellow" }]);
    assert.deepEqual(opinions.wishes, { "tag:mellow": "more" });
    assert.equal(messages[0].message, "More mellow in your recommendations.");
    undo();
    assert.deepEqual([sent(), opinions.wishes], [["more", "neutral"], {}]);
  });

  test("set again is taken back, and one replaces the other", () => {
    opinions.wish("tag:mellow", "more");
    opinions.wish("tag:sad", "less");
    opinions.wish("tag:mellow", "less");
    assert.deepEqual(opinions.wishes, { "tag:sad": "less", "tag:mellow": "less" });
    undo();
    assert.equal(opinions.wishes["tag:mellow"], "more");
    opinions.wish("tag:sad", "less");
    assert.deepEqual(opinions.wishes, { "tag:mellow": "more" });
    assert.deepEqual(sent(), ["more", "less", "less", "more", "neutral"]);
    assert.equal(messages.length, 3);
  });

  test("is that of the server's answer, and gone with the listener", () => {
    opinions.update({ opinions: {}, wishes: { "tag:sad": "less" } });
    assert.deepEqual(opinions.wishes, { "tag:sad": "less" });
    opinions.update({ opinions: {} });
    assert.deepEqual(opinions.wishes, {});
    opinions.wish("tag:sad", "less");
    opinions.clear();
    assert.deepEqual(opinions.wishes, {});
  });
});

describe("an opinion of a track", () => {
  test("is sent with its context, shown at once, and announced", () => {
    assert.equal(toggle("like", { position_ms: 900, source: "for-you" }), true);
    assert.deepEqual(events, [{ track_id: "t1", action: "like", position_ms: 900, source: "for-you" }]);
    assert.equal(shown(), "like");
    assert.equal(messages[0].message, "Liked “Morning”.");
    assert.equal(changes, 1);
    assert.equal(shown("another"), "");
  });

  test("toggled again is removed, without a message", () => {
    toggle("like");
    assert.equal(toggle("like"), false);
    assert.deepEqual([sent(), shown(), messages.length], [["like", "unlike"], "", 1]);
  });

  test("replaces one of its kind and leaves one of the other", () => {
    toggle("like");
    toggle("more");
    toggle("dislike");
    toggle("less");
    assert.deepEqual([sent(), shown()], [["like", "more", "dislike", "less"], "dislike less"]);
  });

  test("is undone to what was before it", () => {
    toggle("more");
    undo();
    toggle("less");
    toggle("more");
    toggle("more");
    assert.deepEqual(sent(), ["more", "neutral", "less", "more", "neutral"]);
    assert.equal(shown(), "");
  });

  test("a wish that is undone leaves the like", () => {
    toggle("like");
    toggle("more");
    undo();
    assert.deepEqual([sent(), shown()], [["like", "more", "neutral", "like"], "like"]);
  });

  test("a dislike that is undone brings the like back", () => {
    toggle("like");
    toggle("dislike");
    undo();
    assert.deepEqual([sent(), shown()], [["like", "dislike", "like"], "like"]);
  });

  test("undo starts from what holds then, not from what held when it was offered", () => {
    toggle("like");
    const undoLike = messages.at(-1).undo;
    toggle("more");
    undoLike();
    assert.deepEqual([sent(), shown()], [["like", "more", "neutral"], ""]);
  });
});

describe("the server's answer", () => {
  test("tells opinions, muted names and adventure; one without opinions changes nothing", () => {
    opinions.update({ opinions: { t1: "like more" }, muted: ["genre:Polka"], adventure: 0.8 });
    assert.deepEqual([shown(), opinions.muted, opinions.adventure], ["like more", ["genre:Polka"], 0.8]);
    opinions.update({});
    assert.deepEqual([shown(), opinions.muted, opinions.adventure], ["like more", ["genre:Polka"], 0.8]);
    for (const nothing of [{}, { muted: null, adventure: null }]) {
      opinions.update({ opinions: {}, ...nothing });
      assert.deepEqual([shown(), opinions.muted, opinions.adventure], ["", [], 0.5]);
    }
  });

  test("that is older than a change does not take it off the page", () => {
    opinions.update({ opinions: {} });
    toggle("like");
    opinions.update({ opinions: {} });
    assert.equal(shown(), "like");
  });

  test("that has the change ends the waiting, in whatever order its words are", () => {
    toggle("like");
    toggle("more");
    opinions.update({ opinions: { t1: "more like" } });
    opinions.update({ opinions: { t1: "dislike" } }); // from another device
    assert.equal(shown(), "dislike");
  });

  test("a removal waits for the server, too", () => {
    opinions.update({ opinions: { t1: "like" } });
    toggle("like");
    opinions.update({ opinions: { t1: "like" } });
    assert.equal(shown(), "");
    opinions.update({ opinions: {} });
    opinions.update({ opinions: { t1: "like" } });
    assert.equal(shown(), "like");
  });

  test("for another listener starts from nothing", () => {
    opinions.update({ opinions: { t1: "like" }, muted: ["genre:Polka"], adventure: 0.8 });
    toggle("more");
    opinions.clear();
    assert.deepEqual([shown(), opinions.muted, opinions.adventure], ["", [], 0.5]);
  });
});

describe("muting", () => {
  test("is sent, shown, announced and undone", () => {
    opinions.mute("genre:Ambient");
    opinions.mute("artist:Band 2");
    assert.deepEqual(opinions.muted, ["genre:Ambient", "artist:Band 2"]);
    undo();
    assert.deepEqual(opinions.muted, ["genre:Ambient"]);
    assert.deepEqual(events, [
      { action: "mute", target: "genre:Ambient" },
      { action: "mute", target: "artist:Band 2" },
      { action: "unmute", target: "artist:Band 2" },
    ]);
    assert.deepEqual(
      messages.map(({ message }) => message),
      ["Ambient muted.", "Band 2 muted.", "Band 2 unmuted."],
    );
  });

  test("a name is muted in every spelling, and unmuted in all that were", () => {
    opinions.update({ opinions: {}, muted: ["artist:BACH", "artist: bäch", "genre:Bach"] });
    assert.equal(opinions.isMuted("artist:Bach"), true);
    opinions.mute("artist:Bach");
    assert.deepEqual(events, []);
    opinions.mute("artist:Bach", false);
    assert.deepEqual(
      events.map(({ action, target }) => `${action} ${target}`),
      ["unmute artist:BACH", "unmute artist: bäch"],
    );
    assert.deepEqual(opinions.muted, ["genre:Bach"]);
  });

  test("what is muted already, or is not, sends nothing", () => {
    opinions.update({ opinions: {}, muted: ["genre:Polka"] });
    opinions.mute("genre:Polka");
    opinions.mute("genre:Jazz", false);
    assert.deepEqual(events, []);
  });

  test("an artist and a genre of one name are two", () => {
    opinions.mute("artist:Ambient");
    assert.deepEqual([opinions.isMuted("artist:Ambient"), opinions.isMuted("genre:Ambient")], [true, false]);
  });

  test("a name may hold colons", () => {
    assert.equal(nameOf("artist:Sleep: Dopesmoker"), "Sleep: Dopesmoker");
  });
});

describe("adventure", () => {
  test("is sent with two decimals, announced by its direction, and undone", () => {
    opinions.setAdventure(0.55);
    undo();
    opinions.setAdventure(0);
    assert.deepEqual(events, [
      { action: "adventure", target: "0.55" },
      { action: "adventure", target: "0.50" },
      { action: "adventure", target: "0.00" },
    ]);
    assert.deepEqual(
      messages.map(({ message }) => message.split(" ").at(-1)),
      ["adventurous.", "familiar.", "familiar."],
    );
  });

  test("the same value sends nothing", () => {
    opinions.setAdventure(0.5);
    assert.deepEqual(events, []);
  });
});

test("what the server has not counted yet holds: a muting, a wish, the slider", () => {
  opinions.mute("genre:Polka");
  opinions.wish("tag:sad", "less");
  opinions.setAdventure(0.9);
  const state = () => [opinions.muted.join(), opinions.wishes["tag:sad"], opinions.adventure];
  opinions.update({ opinions: {}, muted: ["artist:Bach"], wishes: {}, adventure: null });
  assert.deepEqual(state(), ["artist:Bach,genre:Polka", "less", 0.9]);
  opinions.update({ opinions: {}, muted: ["genre:polka"], wishes: { "tag:sad": "less" }, adventure: 0.9 });
  opinions.update({ opinions: {}, muted: [], wishes: {}, adventure: 0.2 }); // counted, and changed elsewhere since
  assert.deepEqual(state(), ["", undefined, 0.2]);
});

test("what is taken back on a card is as it was before, also where it was set on another page", () => {
  toggle("like");
  toggle("dislike");
  opinions.takeBack("dislike", TRACK, {});
  assert.equal(shown(), "like");
  opinions.update({ opinions: { t2: "dislike more" } });
  opinions.takeBack("dislike", { id: "t2", title: "Noon" }, {});
  assert.equal(shown("t2"), "more");
  assert.deepEqual(sent(), ["like", "dislike", "like", "unlike"]);
  assert.deepEqual([opinions.count("like"), opinions.count("dislike")], [1, 0]);
});
