"""What the sample library plays: pieces out of music21's corpus that are in the public domain.

There are two sorts. A *tune* is one melody of a printed book, of which the corpus holds the text in ABC notation; its
title and metre are read from that text, so that planning a library needs no parser. A *part score* is a work of Bach,
Haydn or Mozart in MusicXML; these are named one by one in part_scores.py.

The rest of the corpus stays out. It is free to study, but much of it says otherwise than "public domain": Palestrina
and Josquin are under licences, the Essen folk songs for non-commercial use, Monteverdi and the Trecento after modern
editions.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from local.sample_library.part_scores import CHORALES, QUARTETS


class CorpusMissing(ModuleNotFoundError):
    """music21, whose corpus holds the scores, is not installed."""


@dataclass(frozen=True)
class Piece:
    """A public-domain piece and where its notes are: `file` inside the corpus, and which tune of that file."""

    title: str
    composer: str
    source: str
    file: str
    position: int = 0
    tempo: int | None = None  # quarter notes a minute, where the piece itself asks for one


@dataclass(frozen=True)
class Book:
    """A printed collection of dance tunes, old enough to be in the public domain everywhere."""

    folder: str
    name: str


BOOKS = (
    Book("airdsAirs", "James Aird's Selection of Scotch, English, Irish and Foreign Airs (1778-1801)"),
    Book("oneills1850", "Francis O'Neill's Music of Ireland (1903)"),
    Book("ryansMammoth", "Ryan's Mammoth Collection (1883)"),
)

METRES = {"reels": {"C", "C|", "4/4", "2/4"}, "waltzes": {"3/4"}, "jigs": {"6/8"}}

# A short tune would only loop, and a very long one is mostly a medley whose metre changes.
FEWEST_NOTES = 40
MOST_NOTES = 260

# Old collections have titles with words that are not shown in a player.
UNWELCOME = re.compile(
    r"\b(nig|negro|dark(ie|ey|y)|coon|gyps|gips|squaw|indian|jew|turk|moor|chinese|savage|black|white|whore|slut|hussy|"
    r"bawd|hag\b|wanton|cuckold|maidenhead|virgin|rape|ravish|arse|bum\b|piss|breech|petticoat|smock|cock\b|cripple|"
    r"legged|idiot|hang|murder|protestant|croppies)",
    re.IGNORECASE,
)

# A title needs a word besides these to say which tune it is.
DANCES = re.compile(
    "air|dance|ditto|do|favorite|hornpipe|irish|jig|march|new|quick|reel|step|strathspey", re.IGNORECASE
)
SMALL = re.compile("a|an|and|as|at|but|by|de|for|from|in|la|of|on|or|the|to|with", re.IGNORECASE)


@cache
def corpus() -> Path:
    """Folder of music21's scores, found without importing music21."""
    spec = find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        raise CorpusMissing("The package music21 is not installed, and the sample library is made of its scores")
    return Path(spec.submodule_search_locations[0]) / "corpus"


def pieces(kind: str) -> list[Piece]:
    """All pieces of a kind, a key of METRES or "chorales" or "quartets", each title once, always in the same order."""
    if kind == "chorales":
        return [Piece(title, "Johann Sebastian Bach", "Bach's four-part chorales", file) for file, title in CHORALES]
    if kind == "quartets":
        return [
            Piece(f"{work}: {heading}", composer, f"the score of {work}", f"{folder}/movement{number}.mxl", tempo=tempo)
            for composer, work, folder, movements in QUARTETS
            for number, (heading, tempo) in enumerate(movements, start=1)
        ]
    return _tunes()[kind]


def tune_texts(file: Path) -> list[str]:
    """The tunes of an ABC file, each as the text from its X: line on."""
    return [text for text in re.split(r"(?m)^(?=X:)", file.read_text(encoding="latin-1")) if text.startswith("X:")]


def title_of(printed: str) -> str:
    """A title as a player shows it, from one as it was printed: "DEVIL'S DREAM -- REEL." is "Devil's Dream".

    The dance after a dash is kept only where the title needs it ("JUDY'S -- REEL"); brackets and stray marks go; an
    article at the end moves to the front; words get capitals as in a list of books.
    """
    plain = re.sub(r"\(.*?\)|[:.\"]", "", printed).replace("`", "'").replace("Strathsy", "Strathspey")
    name, _, dance = plain.partition("--")
    name = name.strip(" ,;-")
    if name.lower().endswith(("'s", "s'")):
        name = f"{name} {dance}"
    if article := re.fullmatch(r"(.*), *(the|a)", name, re.IGNORECASE):
        name = f"{article[2]} {article[1]}"
    words = name.split()
    inner = range(1, len(words) - 1)
    return " ".join(_capitalised(word, may_be_small=number in inner) for number, word in enumerate(words))


@cache
def _tunes() -> dict[str, list[Piece]]:
    """Usable tunes by kind of metre, in the order of their titles' digests, which mixes the books."""
    piece_by_title: dict[str, dict[str, Piece]] = {kind: {} for kind in METRES}
    for book in BOOKS:
        for file in sorted((corpus() / book.folder).glob("*.abc")):
            for position, text in enumerate(tune_texts(file)):
                for kind, piece in _usable(book, file, position, text):
                    piece_by_title[kind].setdefault(piece.title.casefold(), piece)
    return {
        kind: [by_title[title] for title in sorted(by_title, key=_digest)] for kind, by_title in piece_by_title.items()
    }


def _usable(book: Book, file: Path, position: int, text: str) -> Iterator[tuple[str, Piece]]:
    """The tune with its kind if it can be played as it stands: one voice, one metre and key, a presentable title."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        if re.match(r"[A-Za-z]:", line):
            fields.setdefault(line[0], []).append(line[2:].split("%")[0].strip())
    body = re.sub(r'(?m)^[A-Za-z]:.*$|%.*$|"[^"]*"|!.*?!|\{[^}]*\}', "", text)
    title = title_of((fields.get("T") or [""])[0])
    composer = " ".join(fields.get("C", []))

    says_which = " " in title and not all(DANCES.fullmatch(word) or SMALL.fullmatch(word) for word in title.split())
    is_presentable = bool(re.fullmatch(r"[A-Z][A-Za-z',\- ]{4,38}", title)) and not UNWELCOME.search(title)
    is_plain = not {"V", "P", "w", "s"} & fields.keys() and not re.search(r"\[[A-Za-z]:|[&\[][A-Ga-g]", body)
    keeps_metre_and_key = all(len(fields.get(field, [])) == 1 for field in "MLK")
    has_a_good_length = FEWEST_NOTES <= len(re.findall(r"[A-Ga-g]", body)) <= MOST_NOTES
    is_public_domain = not re.search(r"copyright|\(c\) *\d|licen[sc]e|permission", text, re.IGNORECASE)
    # A name in the composer's field may be a contemporary of the book; the harper Carolan, who died in 1738, is not.
    has_no_other_composer = not composer or "carolan" in composer.lower()

    is_usable = says_which and is_presentable and is_plain and keeps_metre_and_key and has_a_good_length
    if is_usable and is_public_domain and has_no_other_composer:
        number = fields["X"][0].lstrip("0")
        source = book.name if len(number) < 2 else f"{book.name}, no. {number}"
        author = "Turlough O'Carolan" if composer else "Traditional"
        for kind, metres in METRES.items():
            if fields["M"][0] in metres:
                yield kind, Piece(title, author, source, f"{book.folder}/{file.name}", position)


def _capitalised(word: str, *, may_be_small: bool) -> str:
    if may_be_small and SMALL.fullmatch(word):
        return word.lower()
    if not (word.isupper() or word.islower() or re.fullmatch("Mc[A-Z']+", word)):
        return word
    # "O'NEILL" and "McLEOD" have two capitals, "DEVIL'S" has one.
    return re.sub("^(o'|mc)?(.)", lambda match: (match[1] or "").capitalize() + match[2].upper(), word.lower())


def _digest(title: str) -> bytes:
    return hashlib.sha256(title.encode()).digest()
