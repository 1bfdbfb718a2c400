"""Kafka as a source.

topics.py         creates the topics; tells a recreated topic from the former one
kafka_source.py   topics as a streaming DataFrame; checkpoint folders
"""
