"""The report card as one self-contained HTML page; its text is in templates/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

Row = list[str]
_NONE = "–"


def page(report: dict[str, Any], figures: Mapping[str, str]) -> str:
    """The page as HTML.

    report : as in report.json
    figures : PNG in base64, by the names of `evaluate.drawn_figures`; a section without one has none
    """
    # PackageLoader also reads from the zip in which spark-submit.sh ships the packages.
    environment = Environment(
        loader=PackageLoader("batch.report"), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["percent"] = _percent
    names = ("recall", "precision", "hubness", "confusion", "plane")
    return environment.get_template("report.html").render(
        report=report,
        figures={name: figures.get(name, "") for name in names},
        excluded=_excluded(report),
        recall_rows=_recall_rows(report["index"]),
        precision_rows=_precision_rows(report["precision"]),
        hubness_rows=_hubness_rows(report["hubness"]),
        genre_rows=_genre_rows(report["genres"]),
        metric_rows=_metric_rows(report["space"]),
        space_rows=_space_rows(report["space"]["spaces"]),
        list_rows=_list_rows(report["lists"]),
    )


def _excluded(report: dict[str, Any]) -> list[str]:
    names = (("gone_since", "gone since the training"), ("not_in_model", "not in the model"))
    return [f"{report[key]:,} {name}" for key, name in names if report[key]]


def _recall_rows(index: dict[str, Any]) -> list[Row]:
    return [
        [
            f"@{figures['k']}",
            f"{figures['recall']:.3f}",
            _percent(figures["candidate_share"]),
            _percent(figures["candidate_share_p95"]),
            _percent(figures["fewer_than_k"]),
        ]
        for figures in index["at"]
    ]


def _precision_rows(precision: dict[str, Any] | None) -> list[Row]:
    ways = precision["ways"] if precision else []
    return [[way["way"], _number(way["precision"]), _number(way["artist_filtered"])] for way in ways]


def _hubness_rows(hubness: dict[str, Any]) -> list[Row]:
    return [
        [
            way["way"],
            f"{way['tracks']:,}",
            f"{way['skew']:.2f}",
            _percent(way["in_no_list"]),
            str(way["most"]),
            _percent(way["reachable"]),
        ]
        for way in hubness["ways"]
    ]


def _genre_rows(genres: dict[str, Any] | None) -> list[Row]:
    recall_by_genre = genres["score"]["recall"] if genres and genres["score"] else {}
    return [[genre, _NONE if recall is None else f"{recall:.2f}"] for genre, recall in recall_by_genre.items()]


def _metric_rows(space: dict[str, Any]) -> list[Row]:
    return [
        [
            score["name"] + _weights(score["weights"]),
            _number(score["normalised_precision"]),
            _gain(score),
            f"{score['skew']:.2f}",
            _percent(score["in_no_list"]),
        ]
        for score in space["judged"]
    ]


def _space_rows(spaces: list[dict[str, Any]]) -> list[Row]:
    return [
        [
            space["space"],
            _number(space["precision"]),
            _number(space["artist_filtered"]),
            f"{space['skew']:.2f}",
            _percent(space["in_no_list"]),
            _percent(space["reachable"]),
        ]
        for space in spaces
    ]


def _weights(weights: Sequence[float]) -> str:
    """Weights of the blocks behind a metric's name, as in "album, 2 : 1"; "" for one block."""
    return f", {' : '.join(f'{weight:g}' for weight in weights)}" if len(weights) > 1 else ""


def _list_rows(lists: dict[str, Any]) -> list[Row]:
    artists = lists["artists_among_ten"]
    return [
        ["coverage: share of the tracks that are in some list", _percent(lists["coverage"])],
        ["diversity: mean distance within a list ÷ between any two tracks", f"{lists['diversity']:.2f}"],
        ["novelty: mean self-information of a listed track, bits", f"{lists['novelty_bits']:.2f}"],
        ["artists among the first ten", _NONE if artists is None else f"{artists:.1f}"],
        ["Gini coefficient of how often tracks are listed", f"{lists['gini']:.2f}"],
        ["share of the lists that have the most listed track", _percent(lists["most_shown"])],
    ]


def _gain(score: dict[str, Any]) -> str:
    if score["gain"] is None or not score["error"]:  # the baseline has a gain of 0, without error
        return _NONE
    return f"{score['gain']:+.3f} ± {score['error']:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
