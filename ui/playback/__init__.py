"""A listener's queue and playback settings, on the server, for every device of theirs.

queue_document  the queue as it is stored: written and read
store           queues in MongoDB, each change at the revision that it was made from
loudness        ReplayGain of a track
track_json      a track as the scripts handle it
routes          the routes, and the JSON bodies that pages may send
"""
