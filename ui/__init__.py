"""The player: a web page on MongoDB's tracks and lists that sends listening events to Kafka. No Spark.

__main__         python -m ui: serves the player
recommendations  python -m ui.recommendations: a listener's list on the command line
accounts         python -m ui.accounts: an operator resets a password
list_formats     the query's formats: table, JSON, CSV
app              the FastAPI application: routes, error responses, middleware, Gradio's page
endpoints        Gradio's named endpoints: recommendations, similar tracks, search
dependencies     the services of a player, and FastAPI's Depends for them and for the listener
static_files     addresses of scripts and styles, which change with their content
responses        errors with an HTTP status and a message
left_out         what radio, song path and named lists leave out

auth/    who is listening, and who may: sessions, accounts, security middleware
routes/  the HTTP routes, one module a purpose
data/    what is read and stored: library, listeners' data, lake
search/  search over the library, in memory
playlists/  listeners' playlists
playback/   listeners' queues and playback settings
events/  listening events on their way to Kafka
media/   audio: streaming, analysis in a process of its own, similarity search
library/ albums, artists, tracks, genres and moods
covers/  pictures of albums and tracks
home/    what stands below "For you" on home
page/    the page as HTML: layout, cards, templates
reactions/  what listeners like, dislike and mute: read, taken back, handed over
push/    server-sent events: what changes, to each open page
static/  the page's scripts and styles
"""
