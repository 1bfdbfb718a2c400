"""FMA, the data set of Defferrard et al. (ISMIR 2017): its archives, metadata and published features.

download             one large file by HTTP, resumed where an earlier run ended
archive              unpack a zip archive, each file completely or not at all
meter                progress of a transfer in bytes
metadata             tracks.csv and genres.csv
published_features   features.csv as a library without audio
"""
