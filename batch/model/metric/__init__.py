"""The linear map of the standardised features that points are made by.

learning   whitening within albums, LDA of the genres, blocks side by side
choice     which of them, at which weights of the blocks: cross-validated on unseen artists
"""
