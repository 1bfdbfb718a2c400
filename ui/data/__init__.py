"""What the player reads and stores: MongoDB, Delta tables, and events on their way to Kafka.

mongo                the database, and LibraryUnavailable
library              tracks, similar tracks and recommendations from MongoDB
locations            where the audio of tracks is, cached
recommendation_list  a listener's list and its items
listener_data        everything stored about a listener, for display, export and deletion
steering             mutings, wishes for words and the slider, in `listens`
history              opinions, listening history, playback position
names                names of listeners, compared without case, and their user ids; collection `names`
lake                 Delta tables by delta-rs
recently_added       the newest tracks, cached
novelty              which tracks are new to the library
status               reports of the streaming queries, and the model, for the operator
"""
