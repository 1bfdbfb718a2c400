"""Names of listeners, compared without case and invisible marks, and the user id of each, in the collection `names`.

A listener's user id never changes: it stands in events, lists and history. It is the name as it was first entered; a guest who
signs up keeps the id that they had as a guest, under the name that they choose.

`_id` = the name as `name_key` has it; fields: user_id, name (as it was entered first), version (of the code that wrote the
document; absent means 1). Names of before there was this collection that differ only in case stay listeners of their own, each
found by its exact spelling; any other spelling leads to the account that is older.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from ui.data.mongo import Document, unavailable_on_error

NAME_VERSION = 1
NAME_IN_USE = "This name is already in use. Choose another."
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point: zero-width marks, marks of the direction of text, fillers, variation selectors."""
_JOINER = "\u200d"
"""Of which emoji and some scripts make one character out of two."""


class Listener(NamedTuple):
    """name : as the page shows it"""

    user_id: str
    name: str


class NameTaken(ValueError):
    """The name belongs to another listener."""

    def __init__(self, message: str = NAME_IN_USE) -> None:
        super().__init__(message)


def visible_name(name: str) -> str:
    """A new listener's name as it is stored: composed, on one line, without invisible marks but for joiners within it."""
    shown = _INVISIBLE.sub(lambda mark: _JOINER if mark[0] == _JOINER else "", unicodedata.normalize("NFC", name))
    return " ".join(shown.strip(_JOINER).split())


def name_key(name: str) -> str:
    """What spellings of a name have in common that differ only in case, in blanks, and in what cannot be seen."""
    return _folded(" ".join(_INVISIBLE.sub("", name).split()))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _keys(name: str) -> list[str]:
    """Ids of documents of `names` that may be this name's; the first is that of a version that told invisible marks apart."""
    return list(dict.fromkeys((_folded(name), name_key(name))))


def name_fields(listener: Listener) -> Document:
    """Fields of a document of `names` under the name without case."""
    return {"user_id": listener.user_id, "name": listener.name, "version": NAME_VERSION}


def read_name(document: Document) -> Listener:
    """The listener in a document of `names` of any version."""
    user_id = str(document.get("user_id") or document["_id"])
    return Listener(user_id, str(document.get("name") or user_id))


class Names:
    """The names of one database. Methods raise LibraryUnavailable.

    has_data : whether anything is stored under a user id
    """

    def __init__(self, db: Database[Document], has_data: Callable[[str], bool]) -> None:
        self._db = db
        self._has_data = has_data
        self._has_registered = False

    def find(self, name: str) -> Listener | None:
        """The listener who has registered a name, in any spelling; None for a new name."""
        with unavailable_on_error():
            self._register_accounts()
            account = self._db.accounts.find_one({"_id": name}, {"name": 1})
            if account is not None:
                return Listener(name, str(account.get("name") or name))
            for key in _keys(name):
                document = self._db.names.find_one({"_id": key})
                if document is not None:
                    return read_name(document)
        return None

    def find_with_data(self, name: str) -> Listener | None:
        """As `find`, and listeners of before there were registered names: by the exact spelling, or a usual one."""
        listener = self.find(name)
        if listener is not None and listener.user_id == name:
            return listener
        if self._has_data(name):
            return Listener(name, name)
        if listener is not None:
            return listener
        shown = visible_name(name)
        spellings = dict.fromkeys((shown, shown.lower(), shown.title(), shown.upper(), shown.casefold()))
        earlier = next((spelling for spelling in spellings if spelling != name and self._has_data(spelling)), None)
        return None if earlier is None else Listener(earlier, earlier)

    def register(self, listener: Listener) -> Listener:
        """Stores a name, unless it is there; returns whose it is."""
        with unavailable_on_error():
            key = {"_id": name_key(listener.name)}
            self._db.names.update_one(key, {"$setOnInsert": name_fields(listener)}, upsert=True)
            document = self._db.names.find_one(key)
        return listener if document is None else read_name(document)

    def claim(self, listener: Listener) -> None:
        """Stores a name that no other listener may have. Raises NameTaken."""
        with unavailable_on_error():
            try:
                self._db.names.insert_one({"_id": name_key(listener.name), **name_fields(listener)})
            except DuplicateKeyError as error:
                raise NameTaken from error

    def delete(self, user_id: str) -> None:
        """Removes the names of a listener."""
        with unavailable_on_error():
            self._db.names.create_index("user_id")
            self._db.names.delete_many({"user_id": user_id})

    def _register_accounts(self) -> None:
        """Stores the names of the accounts of before there was this collection, the oldest first."""
        if self._has_registered:
            return
        accounts = list(self._db.accounts.find({"name": {"$exists": False}}, {"made_at": 1}))
        for account in sorted(accounts, key=lambda account: str(account.get("made_at") or "")):
            listener = Listener(str(account["_id"]), str(account["_id"]))
            key = {"_id": name_key(listener.name)}
            self._db.names.update_one(key, {"$setOnInsert": name_fields(listener)}, upsert=True)
            self._db.accounts.update_one({"_id": account["_id"]}, {"$set": {"name": listener.name}})
        self._has_registered = True
