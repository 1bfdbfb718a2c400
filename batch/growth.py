"""Public API: `append` and `remove` tracks of a trained index without training it again."""

from batch.index.updates import append as append
from batch.index.updates import remove as remove
