"""A music library: its files, its tracks, and the tables made of them.

files          the audio files below a folder
object_store   the audio files below a URI (S3, GCS, …), and local copies of them
listing        either of the two, by the library's name
parts          which parts of what is made of a file are up to date
chunks         how many files are read between two commits
extraction     the table `features`, and the pandas UDF that reads files
tracks         the table `tracks`
identity       the rules by which a file gets its track id
ear_figures    what a model's manifest says of the trained ear
rejected       the table `rejected_tracks`
labels         names of genres and artists, normalised and as integer codes
titles         artist, title and length as numbers, by which one song under two ids is told
"""
