"""Server-sent events from the player to each open page: that something has changed, never what.

changes  follows MongoDB's change stream, one task a process, and says what changed for whom
hub      the open streams, and what each of them is told next
routes   GET /events-of-mine, one stream a page
"""
