"""python -m ui.accounts reset NAME: the operator sets a new password for an account, and ends its sessions.

The password is read from the terminal, twice, or is the first line of standard input: on the command line every user of the
machine could read it. Exit codes: 0 done, 1 there is no such account, or MongoDB is away, 2 a setting, an argument or the
password is wrong.
"""

from __future__ import annotations

import argparse
import getpass
import sys

from batch.job import failed
from conf.settings import Settings, SettingsError, settings
from streaming.events import identifier_problem
from ui.auth.accounts import KEY_CACHE_S, Accounts, password_problem
from ui.data.listener_data import ListenerData
from ui.data.mongo import LibraryUnavailable, LibraryUnusable, database
from ui.data.names import Names

NAME = "accounts"


def reset(settings: Settings, name: str, password: str) -> int:
    """Sets the password of the account of this name; returns the exit code."""
    if (problem := password_problem(password)) is not None:
        return failed(NAME, problem, 2)
    if (problem := identifier_problem(name)) is not None:
        return failed(NAME, f"the name {problem}", 2)
    try:
        db = database(settings.mongo)
        listener = Names(db, ListenerData(db).exists).find(name)
        key = None if listener is None else Accounts(db).set_password(listener.user_id, password)
    except LibraryUnusable as error:
        return failed(NAME, error, 2)
    except LibraryUnavailable as error:
        return failed(NAME, f"{error}; start MongoDB at {settings.mongo.place}, or set OVERTONE_MONGO__URI", 1)
    if listener is None or key is None:
        return failed(NAME, f"there is no account {name!r} in the database {settings.mongo.database}", 1)
    print(f"The password of {listener.name} has been changed; its sessions end within {KEY_CACHE_S:.0f} seconds.")
    return 0


def _password() -> str:
    """The new password. Raises ValueError where the two that were typed differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != password:
        raise ValueError("the two passwords differ; nothing has been changed")
    return password


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ui.accounts", description="Accounts of listeners.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("reset", help="set a new password, read from the terminal or standard input")
    command.add_argument("name", metavar="NAME", help="the account's name")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    try:
        chosen_settings = settings()
        new_password = _password()
    except (SettingsError, ValueError, EOFError) as error:
        sys.exit(failed(NAME, error, 2))
    sys.exit(reset(chosen_settings, arguments.name, new_password))
