"""A job without Spark that follows something for as long as it may: what ends it is waited out, and nothing ends it unheard."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

RETRY_S = 2.0
UNFORESEEN_S = 20.0


def keep(
    name: str,
    run: Callable[[threading.Event], object],
    away: tuple[type[Exception], ...],
    tell: Callable[[Exception], str],
    stopping: threading.Event,
) -> None:
    """Runs again and again until `stopping`.

    away : what means that something it needs does not answer, told once in a row, in the words of `tell`
    Of anything else the traceback is printed: a thread that ends would be missed by nobody.
    """
    said = ""
    while not stopping.is_set():
        try:
            run(stopping)
            said = ""
        except away as error:
            if said != type(error).__name__:
                said = type(error).__name__
                print(f"{name}: waiting ({tell(error)})", flush=True)
            stopping.wait(RETRY_S)
        except Exception:  # noqa: BLE001 - see above
            traceback.print_exc()
            stopping.wait(UNFORESEEN_S)
