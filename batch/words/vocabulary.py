"""The words that the player says of a track's sound: moods, instruments, voices and genres. No Spark.

They are tags of the trained network (`batch.ear`), synonyms merged; decades, "oldies" and "sexy" are left out. Other parts name a
word by its `name`, which is also that of the target `tag:NAME`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from batch.library.labels import spelling_key

MOOD, INSTRUMENT, VOICE, GENRE = "mood", "instrument", "voice", "genre"
KINDS = (MOOD, INSTRUMENT, VOICE, GENRE)
"""In the order in which a track's words are listed."""
TAG_TARGET = "tag:"
"""Prefix of a target that is a word: "tag:mellow"."""
_TERM = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Word:
    """A word for the sound of tracks.

    kind : one of KINDS
    unlikely_below : probability below which it is said of no track, whatever the library: the lower of its medians over 449 free
        songs of Debian's packages and 23 clips of FMA, made by bench/words.py
    tags : of the network, in lower case; their probabilities are added
    other_names : what else may be typed for it
    label : as the page shows it
    phrase : as it stands after "both"
    """

    name: str
    kind: str
    unlikely_below: float
    tags: tuple[str, ...]
    other_names: tuple[str, ...] = ()
    label: str = ""
    phrase: str = ""


def _word(
    name: str,
    kind: str,
    unlikely_below: float,
    other_names: str = "",
    tags: tuple[str, ...] = (),
    label: str = "",
    phrase: str = "",
) -> Word:
    """A word; tags, label and phrase are its name where they are missing.  other_names : separated by commas"""
    others = tuple(filter(None, (other.strip() for other in other_names.split(","))))
    return Word(name, kind, unlikely_below, tags or (name,), others, label or name, phrase or label or name)


WORDS = (
    _word("mellow", MOOD, 0.0098, "gentle, soft"),
    _word("chill", MOOD, 0.026, "chillout, chill out, chilled, relaxing, relaxed, calm", ("chill", "chillout")),
    _word("happy", MOOD, 0.0016, "cheerful, joyful"),
    _word("sad", MOOD, 0.0033, "melancholic, melancholy"),
    _word("beautiful", MOOD, 0.011),
    _word("party", MOOD, 0.0024, phrase="party music"),
    _word("catchy", MOOD, 0.002),
    _word("easy listening", MOOD, 0.0034),
    _word("acoustic", INSTRUMENT, 0.0085, "unplugged"),
    _word("guitar", INSTRUMENT, 0.0057, "guitars", phrase="with guitar"),
    _word(
        "female vocalists",
        VOICE,
        0.05,
        "female vocalist, female vocals, female vocal, female voice, female voices, female singer, female singers",
        ("female vocalists", "female vocalist"),
        phrase="with female vocalists",
    ),
    _word(
        "male vocalists",
        VOICE,
        0.0056,
        "male vocalist, male vocals, male vocal, male voice, male voices, male singer, male singers",
        phrase="with male vocalists",
    ),
    _word("instrumental", VOICE, 0.021, "instrumentals, no vocals, without vocals"),
    _word("rock", GENRE, 0.079),
    _word("pop", GENRE, 0.042),
    _word("alternative", GENRE, 0.05),
    _word("indie", GENRE, 0.062),
    _word("electronic", GENRE, 0.091, "electronica", ("electronic", "electronica")),
    _word("dance", GENRE, 0.011),
    _word("alternative rock", GENRE, 0.014, "alt rock"),
    _word("jazz", GENRE, 0.019),
    _word("metal", GENRE, 0.0086),
    _word("classic rock", GENRE, 0.012),
    _word("soul", GENRE, 0.0089),
    _word("indie rock", GENRE, 0.015),
    _word("folk", GENRE, 0.021),
    _word("punk", GENRE, 0.0042),
    _word("blues", GENRE, 0.0066),
    _word("hard rock", GENRE, 0.0046),
    _word("ambient", GENRE, 0.0095),
    _word("experimental", GENRE, 0.057),
    _word("hip-hop", GENRE, 0.0048, "hip hop, hiphop, rap"),
    _word("country", GENRE, 0.0029),
    _word("funk", GENRE, 0.0056),
    _word("electro", GENRE, 0.0089),
    _word("heavy metal", GENRE, 0.0031),
    _word("progressive rock", GENRE, 0.012, "prog rock, prog"),
    _word("rnb", GENRE, 0.0023, "r&b, r'n'b, r n b, rhythm and blues", label="R&B"),
    _word("indie pop", GENRE, 0.0086),
    _word("house", GENRE, 0.0031),
)
WORD_BY_NAME = {word.name: word for word in WORDS}


def _key(name: str) -> str:
    """What names have in common that differ in case, blanks, diacritics and punctuation alone."""
    return " ".join(_TERM.findall(spelling_key(name)))


_NAME_BY_KEY = {_key(name): word.name for word in WORDS for name in (word.name, *word.other_names)}
_MOST_TERMS = max(len(key.split()) for key in _NAME_BY_KEY)


def word_of(name: str) -> Word | None:
    """The word of a name, a synonym or another spelling of it; None for none."""
    known_name = _NAME_BY_KEY.get(_key(name))
    return None if known_name is None else WORD_BY_NAME[known_name]


def tag_key(name: str) -> str:
    """What the names of one tag have in common: the word's name, else the name folded."""
    word = word_of(name)
    return spelling_key(name) if word is None else word.name


def words_in(text: str) -> tuple[list[Word], str]:
    """(the words that a text names, each once; the rest of the text): the longest names first, "hip hop" before "pop"."""
    terms = _TERM.findall(unicodedata.normalize("NFC", text).casefold())
    words: dict[str, Word] = {}
    rest: list[str] = []
    start = 0
    while start < len(terms):
        for length in range(min(_MOST_TERMS, len(terms) - start), 0, -1):
            word = word_of(" ".join(terms[start : start + length]))
            if word is not None:
                words[word.name] = word
                start += length
                break
        else:
            rest.append(terms[start])
            start += 1
    return list(words.values()), " ".join(rest)


def listed(names: list[str]) -> list[str]:
    """The names of known words by kind in the order of KINDS, those of a kind in the given order."""
    return sorted(
        (name for name in names if name in WORD_BY_NAME), key=lambda name: KINDS.index(WORD_BY_NAME[name].kind)
    )
