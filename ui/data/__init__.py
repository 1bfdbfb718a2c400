"""What the player reads and stores: MongoDB, Delta tables, and events on their way to Kafka.

mongo                the database, and LibraryUnavailable
library              tracks, similar tracks and recommendations from MongoDB
recommendation_list  a listener's list and its items
listener_data        everything stored about a listener, for display, export and deletion
history              opinions, listening history, playback position
names                names of listeners, compared without case, and their user ids; collection `names`
lake                 Delta tables by delta-rs
recently_added       the newest tracks, cached
status               reports of the streaming queries, and the model, for the operator
"""
