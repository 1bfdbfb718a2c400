"""From features to a model version: MLlib fits, the result is stored as arrays that need no Spark.

blocks            a row of features: the vector, the trained ear's embedding beside it
metric/           the linear map of the features: whitening within albums, LDA, weights of the blocks
fit_index         MLlib's scaler, PCA and LSH → an index; its recordings
library_neighbours  true neighbours among all tracks, by which hash tables are tuned on a sample
similar_tracks    each track's stored neighbours and list of similar tracks
sweep             `train --tune`: settings of the hash tables; the settings that it chose last
artist_cap        at most two tracks of an artist in any ten places of a list
genre_examples    the tracks that the genre networks learn from
genre_mlp         MLlib's multilayer perceptrons → genre posteriors
mlp_inference     their inference in numpy; genre.npz
artist_split      artist-grouped splits and scores of the genre networks
map_layout        positions on the library's map
cold_start        the list for new listeners
"""
