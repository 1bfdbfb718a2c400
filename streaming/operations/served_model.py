"""The model version that a query serves from, also after it was removed from where the versions are."""

from __future__ import annotations

from functools import lru_cache

from batch import registry


class ServedModel:
    """The latest version; where that is removed while it is in use, it stays the served one until there is another.

    root : location of the versions;  job : whose log it is
    """

    def __init__(self, root: str, job: str) -> None:
        self._root, self._job = root, job
        self._served: tuple[registry.Model, str] | None = None
        self._is_removed = False

    def current(self) -> tuple[registry.Model, str]:
        """(the version, `Index.state` of its index). Says once that it was removed.

        Raises ModelNotFound where there was none yet, and ModelUnusable.
        """
        try:
            model = registry.latest(self._root)
            self._served = model, model.index_state
            self._is_removed = False
        except registry.ModelNotFound as error:
            if self._served is None:
                raise
            if not self._is_removed:
                self._is_removed = True
                print(
                    f"{self._job}: {error}. Until there is another, nodes that still have {self._served[0].version} serve "
                    "from it; on others tasks fail",
                    flush=True,
                )
        return self._served


@lru_cache(maxsize=1)
def served_model(root: str, job: str) -> ServedModel:
    """This process's: a query that is started again still knows what it served."""
    return ServedModel(root, job)
