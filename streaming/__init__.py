"""The online path: listening events from Kafka become each listener's taste, and the taste meets the index.

events.py            what a listening event is, and what is wrong with one that is not
taste.py             events → what a listener likes and rejects (numbers); skips.py: how often everybody skips a track
liking.py            what a list follows: liked and rejected tracks, and the interests (centres.py) that they form (numbers)
candidates.py        the index with a memory; pools.py: what a list is taken from (numbers)
recommendations.py   taste + index → ranked lists with reasons; diversity.py: many take their places together (numbers)
profiles.py          a micro-batch of events → profiles and lists, each event counted once
verdicts.py          which events count, decided alike by both lanes
recommend.py       ▶ Kafka → profiles and lists → MongoDB and the topic `recommendations`: the fast lane
ledger.py          ▶ both topics → Delta: the durable lane; landing.py: each row once; lists.py: lists as rows
feed.py            ▶ MongoDB `tracks` → topic `track-features`
catalogue.py       ▶ topic `track-features` → the index, while it is in use
replay.py          ▶ stored events once more, with another model or setting
following.py         a job without Spark that is kept running
running.py           a job that waits while MongoDB or Kafka is away; metrics.py: what it does, to watch
"""
