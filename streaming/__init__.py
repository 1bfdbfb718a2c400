"""The online path: listening events from Kafka become each listener's taste, and the taste meets the index.

events.py            what a listening event is, and what is wrong with one that is not
taste.py             events → what a listener likes and rejects (numbers)
recommendations.py   taste + index → a ranked list with reasons (numbers)
profiles.py          a micro-batch of events → profiles and lists, each event counted once
recommend.py       ▶ Kafka → profiles and lists → MongoDB and the topic `recommendations`: the fast lane
ledger.py          ▶ both topics → Delta: the durable lane
"""
