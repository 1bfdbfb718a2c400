"""The report card as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;background:#f6f7f9;margin:0}
main{max-width:960px;margin:0 auto;padding:32px 20px 80px}
h1{font-size:28px;margin:0 0 4px}h2{font-size:19px;margin:0 0 8px}
p.about{color:#586573;margin:0 0 24px}
section{background:#fff;border:1px solid #e2e6ea;border-radius:10px;padding:20px 24px;margin:18px 0}
table{border-collapse:collapse;margin:10px 0;font-variant-numeric:tabular-nums}
th,td{padding:4px 14px 4px 0;text-align:right;border-bottom:1px solid #eceff2}
th:first-child,td:first-child{text-align:left}th{font-weight:600;color:#586573}
img{max-width:100%;height:auto}
.note{color:#586573;font-size:13.5px}.label{background:#fff3cd;border-radius:4px;padding:1px 7px;font-size:13px}
"""


def page(report: dict[str, Any], pictures: dict[str, str]) -> str:
    """report : as in report.json;  pictures : PNG in base64 by name; a section whose picture is missing has none"""
    sections = [_index(report, pictures), _precision(report, pictures), _hubness(report, pictures)]
    sections += [_genres(report, pictures), _space(report), _lists(report), _map(report, pictures)]
    by = f" by {report['artists']:,} artists" if report["artists"] else ", none of which names an artist"
    others = [
        f"{report[key]:,} {what}"
        for key, what in (("gone_since", "gone since"), ("not_in_model", "not in the model"))
        if report[key]
    ]
    about = (
        f"Model {escape(report['model'])}, {report['tracks']:,} tracks{by}"
        f"{' (' + ', '.join(others) + '; not measured)' if others else ''}; "
        f"measured {escape(report['measured_at'])} in {report['seconds']:.0f} s. "
        "Every number on this page was measured in that run, on this library."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Report card</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{_STYLE}</style></head><body><main><h1>Report card</h1><p class="about">{about}</p>'
        + "".join(section for section in sections if section)
        + "</main></body></html>\n"
    )


def _index(report: dict[str, Any], pictures: dict[str, str]) -> str:
    met = report["index"]
    rows = [
        [
            f"@{one['k']}",
            f"{one['recall']:.3f}",
            _percent(one["candidate_share"]),
            _percent(one["candidate_share_p95"]),
            _percent(one["fewer_than_k"]),
        ]
        for one in met["at"]
    ]
    heads = ["neighbours", "recall", "candidates, of the tracks", "95th percentile", "queries answered exactly"]
    text = (
        "Recall alone would prove nothing; beside it stands how many tracks were candidates. A query that the bands leave with "
        "fewer than it asks for is answered exactly, and then all tracks are its candidates. "
        f"{met['bands']} bands of {met['hashes']} hashes in "
        f"{met['components']} components, {met['probes']} probes; a candidate shares a bucket in at least {met['shared']}. "
        f"The bands alone give {_percent(met['candidate_share_of_bands'])} of the tracks. "
        f"The largest bucket holds {_percent(met['largest_bucket'])}. "
        f"A query takes {met['ms_index']:.2f} ms, exact search {met['ms_exact']:.2f} ms; "
        f"the index has {met['megabytes']:.1f} MB. {met['queries']} queries, on the machine that made this page."
    )
    table = _table(heads, rows) if rows else _note("Ten tracks or fewer: every answer is exact.")
    return _section("The index against exact search", table + _note(text), pictures.get("recall"))


def _precision(report: dict[str, Any], pictures: dict[str, str]) -> str:
    measured = report["precision"]
    if measured is None:
        return _section(
            "Neighbours of the same genre", _note("Fewer than two genres in this library: nothing to measure."), None
        )
    rows = [[way["way"], _number(way["precision"]), _number(way["artist_filtered"])] for way in measured["ways"]]
    queries, fellows = measured["queries"], measured["queries_with_a_fellow_by_another_artist"]
    text = (
        f"Share of ten neighbours that have the track's genre, mean over {queries} tracks in both columns; {measured['genres']} "
        "genres. A neighbour without a genre is a miss. The artist filter leaves out neighbours by the same artist or on the "
        f"same album, which are too easy; {fellows} of the {queries} have a fellow of their genre left then, the others count 0. "
        "As served, at most two of an artist stand in any ten, which costs hits where a genre has few artists. "
        "Genres that the space was learned from count here too; what it does on artists it has not seen stands below under "
        "“What the space weighs”."
    )
    return _section(
        "Neighbours of the same genre",
        _table(["ten chosen by", "precision@10", "with artist filter"], rows) + _note(text),
        pictures.get("precision"),
    )


def _hubness(report: dict[str, Any], pictures: dict[str, str]) -> str:
    rows = [
        [
            way["way"],
            f"{way['tracks']:,}",
            f"{way['skew']:.2f}",
            _percent(way["in_no_list"]),
            str(way["most"]),
            _percent(way["reachable"]),
        ]
        for way in report["hubness"]["ways"]
    ]
    text = (
        "Plain neighbours put a few tracks into everybody's list and leave others out of all lists. Skew of the number of lists "
        "of ten in which a track stands: 0 is even, above 1 means hubs. Reachable: from the largest part of the library within "
        "which one gets from list to list."
    )
    hubs = report["hubness"]
    if hubs["after"]["way"] != hubs["ways"][-1]["way"]:
        text += (
            f" The first three are lists among {hubs['before']['tracks']:,} of the tracks, the last among all: a list among "
            "fewer tracks has other hubs, so compare the first three with each other; the picture does."
        )
    heads = ["lists", "tracks", "skew", "in nobody's list", "most lists", "reachable"]
    return _section("Hubs and tracks that nobody is shown", _table(heads, rows) + _note(text), pictures.get("hubness"))


def _genres(report: dict[str, Any], pictures: dict[str, str]) -> str:
    heard = report["genres"]
    title = "Genres told from the sound"
    if heard is None:
        return _section(title, _note("Fewer than two genres with three tracks each: there is no genre network."), None)
    score = heard["score"]
    if score is None:
        text = "Too few artists to measure: no genre has an artist to learn from and another to ask."
        return _section(title, _note(text), None)
    rows = [[genre, "–" if value is None else f"{value:.2f}"] for genre, value in score["recall"].items()]
    text = (
        f"Accuracy {score['accuracy']:.3f}, macro-F1 {score['macro_f1']:.3f} on {score['tracks']:,} tracks; always saying the "
        f"commonest genre would reach {score['majority']:.3f}. Held out: {escape(score['how'])}; no artist is on both sides. "
        "A track whose genre has no other artist to learn it from is not asked."
    )
    if heard["shape_shares_tracks"]:
        text += (
            f" The networks' shape was chosen on {escape(heard['shape_chosen_on'])}: it has seen tracks that are measured here, "
            "which makes the score a little too good."
        )
    return _section(title, _note(text) + _table(["genre", "recall"], rows), pictures.get("confusion"))


def _space(report: dict[str, Any]) -> str:
    space = report["space"]
    rows = [
        [
            one["name"],
            _number(one["normalised_precision"]),
            _gain(one),
            f"{one['skew']:.2f}",
            _percent(one["in_no_list"]),
        ]
        for one in space["judged"]
    ]
    text = (
        f"The model uses “{escape(space['metric'])}”. Each was learned on two thirds of the artists and judged on the others, "
        "with the artist filter: hits among ten, by the fellows of the genre that could be hit where they are fewer, so these "
        "levels are higher than those of precision@10. Without enough genres only hubs can be judged."
        if rows
        else f"The model uses “{escape(space['metric'])}”: there are too few albums and genres to learn from."
    )
    table = (
        _table(
            ["space", "normalised precision@10 on unseen artists", "gain over plain", "skew", "in nobody's list"], rows
        )
        if rows
        else ""
    )
    return _section("What the space weighs", table + _note(text), None)


def _lists(report: dict[str, Any]) -> str:
    lists = report["lists"]
    rows = [
        ["coverage: tracks in some list", _percent(lists["coverage"])],
        ["diversity: distance within a list, of that between any two tracks", f"{lists['diversity']:.2f}"],
        ["novelty: bits a track, of how few lists have it", f"{lists['novelty_bits']:.2f}"],
        ["artists among the first ten", "–" if (artists := lists["artists_among_ten"]) is None else f"{artists:.1f}"],
        ["Gini of how often tracks are shown", f"{lists['gini']:.2f}"],
        ["share of lists with the most shown track", _percent(lists["most_shown"])],
    ]
    text = (
        f'<span class="label">simulated</span> {lists["listeners"]} made-up listeners like three tracks each and get '
        f"{lists['items']} from the index, two of an artist at most. No listener was asked: "
        "these numbers compare models, they do not tell how "
        "anybody likes the lists."
    )
    return _section("Lists", f'<p class="note">{text}</p>' + _table(["lists of simulated listeners", ""], rows), None)


def _map(report: dict[str, Any], pictures: dict[str, str]) -> str:
    if "plane" not in pictures:
        return ""
    return _section(
        "A map of the library",
        _note("Near tracks lie near each other. The directions mean nothing."),
        pictures["plane"],
    )


def _section(title: str, body: str, picture: str | None) -> str:
    image = f'<img alt="{escape(title)}" src="data:image/png;base64,{picture}">' if picture else ""
    return f"<section><h2>{escape(title)}</h2>{body}{image}</section>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _note(text: str) -> str:
    return f'<p class="note">{text}</p>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _gain(one: dict[str, Any]) -> str:
    return "–" if one["gain"] is None or one["name"] == "plain" else f"{one['gain']:+.3f} ± {one['error']:.3f}"
