"""Everybody's skips: what one of them counts, who uses which count, and that a lake that is away holds nothing up."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema

from conf.settings import Lake, settings
from streaming.profile import skip_rates
from streaming.profile.skip_rates import (
    SKIP_RATES_TABLE,
    LatestRates,
    RatesVersion,
    factors_of,
    latest_version,
    past_factors,
    skip_factors,
)
from streaming.schemas import SKIP_RATES

TASTE = settings().taste.model_copy(update={"skip_rate_prior": 20.0, "skip_factor_most": 2.0})
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(root=str(tmp_path / "the lake, ü"))


def factors(**counts: tuple[int, int]) -> dict[str, float]:
    """By track.  counts : (skippers, finishers)"""
    skippers, finishers = np.array(list(counts.values()), dtype=np.float64).T
    return dict(zip(counts, skip_factors(skippers, finishers, TASTE).tolist(), strict=True))


def write(lake: Lake, as_of: datetime, **counts: tuple[int, int]) -> None:
    rows = [
        {"track_id": track, "skippers": skippers, "finishers": finishers, "as_of": as_of, "day": as_of.date()}
        for track, (skippers, finishers) in counts.items()
    ]
    table = pa.Table.from_pylist(rows, schema=to_arrow_schema(SKIP_RATES, timezone="UTC"))
    write_deltalake(lake.table(SKIP_RATES_TABLE), table, mode="append", partition_by=["day"])


def test_a_skip_of_what_all_skip_counts_little_and_of_what_none_skips_much() -> None:
    by_track = factors(skipped=(900, 100), loved=(10, 990), usual=(455, 545), new=(0, 0))
    assert by_track["skipped"] < 0.3 < 1 < by_track["loved"] <= 2.0
    assert by_track["usual"] == pytest.approx(1.0, abs=0.02)
    assert by_track["new"] == pytest.approx(1.0)


def test_no_factor_leaves_its_bounds() -> None:
    by_track = factors(all=(10**6, 0), none=(0, 10**6))
    assert 0 <= by_track["all"] < 0.01 < 1.99 < by_track["none"] <= 2.0


def test_what_one_listener_skips_and_finishes_says_nothing_of_their_next_skip() -> None:
    """A home with one listener who skips a whole artist; the same where a thousand others finish other tracks."""
    artist = {f"a{number}": (1, 0) for number in range(30)}
    assert set(factors(**artist, finished=(0, 1)).values()) == {1.0}
    among_others = factors(**artist, rest=(500, 500))
    assert min(among_others[track] for track in artist) >= 0.9


def test_two_who_skip_it_say_little() -> None:
    assert factors(twice=(2, 0), rest=(500, 500))["twice"] > 0.9


def test_a_version_has_the_factors_of_its_latest_day(lake: Lake) -> None:
    assert latest_version(lake) is None
    write(lake, NOON, a=(90, 10), b=(10, 90))
    write(lake, NOON + DAY, a=(10, 90), b=(90, 10))
    first, second = RatesVersion(lake.table(SKIP_RATES_TABLE), 0), latest_version(lake)
    assert second == RatesVersion(lake.table(SKIP_RATES_TABLE), 1)
    before, after = factors_of(first, TASTE), factors_of(second, TASTE)
    assert before == pytest.approx(factors(a=(90, 10), b=(10, 90)))
    assert after == pytest.approx(factors(a=(10, 90), b=(90, 10)))


def test_without_a_table_every_skip_counts_one(lake: Lake) -> None:
    assert factors_of(None, TASTE) == {}
    assert LatestRates(lake, TASTE).current() is None


def test_a_new_version_is_taken_up_after_a_while(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = LatestRates(lake, TASTE)
    assert rates.current() is None
    write(lake, NOON, a=(90, 10), b=(10, 90))
    assert rates.current() is None and rates._thread is None, "not before it is time to look"
    monkeypatch.setattr(skip_rates, "LOOK_INTERVAL_S", 0.0)
    rates.current()
    assert rates._thread is not None
    rates._thread.join(20)
    monkeypatch.setattr(skip_rates, "LOOK_INTERVAL_S", 30.0)
    assert rates.current() == latest_version(lake)


def test_a_lake_that_is_away_leaves_the_rates_as_they_were(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write(lake, NOON, a=(90, 10), b=(10, 90))
    rates = LatestRates(lake, TASTE)
    first = rates.current()
    monkeypatch.setattr(skip_rates, "latest_version", lambda _: (_ for _ in ()).throw(OSError("away")))
    rates._look()
    assert first is not None and rates.current() == first
    unread = RatesVersion(lake.table(SKIP_RATES_TABLE), 0)
    shutil.rmtree(lake.root)
    assert factors_of(unread, TASTE), "read before, so it is cached"
    skip_rates._read_factors.cache_clear()
    assert factors_of(unread, TASTE) == {}
    monkeypatch.setattr(skip_rates, "_read_factors", lambda *_: pytest.fail("read again at once"))
    assert factors_of(unread, TASTE) == {}


def test_a_damaged_file_of_the_table_stops_no_list(lake: Lake) -> None:
    write(lake, NOON, a=(90, 10), b=(10, 90))
    for file in Path(lake.table(SKIP_RATES_TABLE)).rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    assert LatestRates(lake, TASTE).current() is None
    assert factors_of(latest_version(lake), TASTE) == {}


def test_a_replay_has_the_factors_of_each_time(lake: Lake) -> None:
    write(lake, NOON, a=(90, 10), b=(10, 90))
    write(lake, NOON + 2 * DAY, a=(10, 90), b=(90, 10))
    write(lake, NOON + 9 * DAY, a=(50, 50), c=(90, 10))
    past = past_factors(latest_version(lake), NOON - DAY, NOON + 3 * DAY, TASTE)
    first, second = factors(a=(90, 10), b=(10, 90)), factors(a=(10, 90), b=(90, 10))
    times = [NOON - DAY, NOON, NOON + DAY, NOON + 2 * DAY, NOON + 30 * DAY]
    expected = [1.0, first["a"], first["a"], second["a"], second["a"]]
    assert [past.factor("a", when) for when in times] == pytest.approx(expected, rel=1e-6)
    assert past.factor("c", NOON + 30 * DAY) == 1.0, "counted after the end"
    later = past_factors(latest_version(lake), NOON + DAY, NOON + 3 * DAY, TASTE)
    assert later.factor("a", NOON + DAY) == pytest.approx(first["a"], rel=1e-6), "the last count before the start"
    assert past_factors(None, NOON, NOON, TASTE).factor("a", NOON) == 1.0
