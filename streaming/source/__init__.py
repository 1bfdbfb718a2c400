"""Kafka as a source.

topics.py          creates the topics; tells a recreated topic from the former one, and how long events are kept
kafka_source.py    topics as a streaming DataFrame; checkpoint folders
durable_values.py  both topics for the durable lane, in slices
batch_offsets.py   where micro-batches begin and end, and which of their values Kafka removed before they were read
sending.py         records sent to a topic, with the outcome of each
"""
