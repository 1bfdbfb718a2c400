"""Kafka as a source.

topics.py         creates the topics; tells a recreated topic from the former one, and how long events are kept
kafka_source.py   topics as a streaming DataFrame; checkpoint folders
sending.py        records sent to a topic, with the outcome of each
"""
