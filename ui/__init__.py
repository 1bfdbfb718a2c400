"""The player and the query: MongoDB read, listening events written, nothing computed here.

library          what MongoDB holds, as plain dataclasses
listens          listening events to Kafka, kept while it is away
covers, cards    a track as a picture and as a card of the page
player           the page (Gradio); static/ is what runs in the browser
server           the page, its audio and its events over HTTP
recommendations  a listener's list on the command line
"""
