"""Listening events on their way from the page to Kafka.

event_queue  events to Kafka, queued while it is unavailable
journal      accepted events on disk, until Kafka has them
"""
