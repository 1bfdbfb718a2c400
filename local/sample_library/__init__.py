"""The sample library: music that the demo plays when the user has no folder, made on the user's own machine.

Public-domain tunes out of music21's corpus (pieces.py, part_scores.py) are dealt out to made-up artists of sixteen
styles (bands.py, styles.py, plan.py); a score is read as notes (scores.py), arranged for a band (arrangement.py), and
becomes a tagged MP3 (rendering.py), several at a time (workers.py). `render` (library.py) does what is not done yet.
On the command line: python -m local.sample_library (__main__.py).
"""

from local.sample_library.library import ForeignFolder, render
from local.sample_library.workers import RenderingFailed

__all__ = ["ForeignFolder", "RenderingFailed", "render"]
