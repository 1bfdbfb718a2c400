"""Home below "For you", in its order: recently played, mixes, something different, recently added, moods, genres.

shelves  the tracks of each shelf
marks    which tracks on cards were listened to, and which are new
titles   names of mixes by what their tracks have in common
routes   GET /view/home
"""
