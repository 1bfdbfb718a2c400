"""Complete model versions, with the tracks that were added to their index since."""

from __future__ import annotations

from batch import registry
from batch.storage import objects
from batch.storage.locations import child
from batch.versions.new_version import MANIFEST_FILE
from local.backup.content import MODELS_PART, Backup
from local.backup.copying import all_copied, copied
from streaming.catalogue import OFFSETS_FILE

ATTEMPTS_A_MODEL = 5


def back_up_models(root: str, backup: Backup, to: str) -> None:
    """Copies all complete versions. Raises OSError."""
    for version in registry.versions(root):
        for remaining_attempts in reversed(range(ATTEMPTS_A_MODEL)):
            try:
                _back_up_model(version, child(root, version), backup, to)
                break
            except FileNotFoundError:  # a segment was compacted since the listing
                if not objects.exists(child(child(root, version), MANIFEST_FILE)):
                    break  # removed meanwhile
                if not remaining_attempts:
                    raise
    try:
        backup.latest = registry.latest(root).version if backup.models else ""
    except (registry.ModelNotFound, registry.ModelUnusable):
        backup.latest = ""
    if backup.latest not in backup.models:
        backup.latest = backup.models[-1] if backup.models else ""


def _back_up_model(version: str, location: str, backup: Backup, to: str) -> None:
    part = f"{MODELS_PART}/{version}"
    names = [name for name in objects.sizes(location) if not name.rpartition("/")[2].startswith(".")]
    files = {}
    # Offsets first: with older ones tracks are read again, which the index already has; with later ones some would be missing.
    if OFFSETS_FILE in names:
        files[f"{part}/{OFFSETS_FILE}"] = copied(child(location, OFFSETS_FILE), child(to, f"{part}/{OFFSETS_FILE}"))
        names = [name for name in objects.sizes(location) if name != OFFSETS_FILE]
        names = [name for name in names if not name.rpartition("/")[2].startswith(".")]
    targets = {child(location, name): child(to, f"{part}/{name}") for name in names}
    files |= {target[len(to.rstrip("/")) + 1 :]: file for target, file in all_copied(targets).items()}
    backup.files |= files
    backup.models.append(version)
