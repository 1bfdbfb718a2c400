"""A training of a library that no driver holds: what is fitted is fitted on a sample, what is of each track is made on executors.

library      the library's tracks in narrow columns on the driver, the sample, the fingerprint
training_set  the sampled tracks with their features, on the driver
projected    points, sketches, hash keys and percentiles of all tracks, made on executors
"""
