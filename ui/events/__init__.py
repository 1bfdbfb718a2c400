"""Listening events on their way from the page to Kafka.

event_queue  events to Kafka, queued while it is unavailable
deletions    when listeners' data were deleted
producer     the Kafka producer
journal      accepted events on disk, until Kafka has them
"""
