"""Albums and artists of the published tracks, with ids, as the player's pages list them. No Spark.

names          ids, sort keys and index letters of names
albums         which tracks are one album, and its document
artists        the artists of tracks and albums, and their documents
collections    both in MongoDB, and the indexes that pages are read by
"""
