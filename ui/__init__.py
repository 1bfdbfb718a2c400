"""The player and the query: MongoDB read, listening events written, and what is a listener's own kept. No Spark.

library, search      what MongoDB holds, as plain dataclasses; the words of all tracks in memory
listens              listening events to Kafka, kept while it is away
mine, accounts       a listener's history, likes and playlists; passwords
session, sessions    who is listening, from the signed cookie; which sessions have ended
sound, worker        peaks, pictures and features of sounds; the other process that they are made in
sending, nearness    audio in ranges, also from a store; the model's index asked
lake, status         what is read from Delta by delta-rs; the service's figures
covers, cards, pages a track as a picture and as a card; the pages' templates
licences, forms      licences by their names; what pages may send
player               the page (Gradio); static/ is what runs in the browser
listening, owning, tracks, views   routes
guard, parts, server what stands before every route; what all is made of; all of it over HTTP
recommendations      a listener's list on the command line
"""
