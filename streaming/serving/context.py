"""What serving needs to know: settings, model version, skip rates."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from batch.versions.remote_index import IndexPlace
from conf.settings import Kafka, Mongo, Taste
from streaming.profile.skip_rates import RatesVersion


@dataclass(frozen=True)
class ServingContext:
    """Values that serving needs; they travel to the workers, which open connections by them.

    items : length of a list
    source : the listening topic's "cluster id/topic id"
    index_place : where the index of the model version lies
    index_state : its `Index.state`
    skip_rates : how often all listeners skip each track; None: every skip weighs alike
    mixes_hours : age from which named lists are made again; 0 for never
    planned_at : by the driver's clock; what is written is dated by it, since the clocks of workers may differ
    """

    mongo: Mongo
    kafka: Kafka
    taste: Taste
    items: int
    source: str
    model_version: str
    index_place: IndexPlace
    index_state: str = ""
    skip_rates: RatesVersion | None = None
    mixes_hours: float = 0.0
    planned_at: datetime = field(default_factory=lambda: datetime.now(UTC))
