"""What makes one machine enough: embedded MongoDB and Kafka, the sample library, simulated listeners, the demo itself.

The jobs, the stream and the player know nothing of this package.
"""
