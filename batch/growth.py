"""Public API: `append` tracks to, and `remove` them from, the index of a trained model without training it again."""

from batch.index.updates import append as append
from batch.index.updates import remove as remove
