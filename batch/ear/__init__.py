"""A trained ear: MusiCNN (Pons & Serra, 2019), trained on the Million Song Dataset, hears excerpts of 3 s. No Spark.

wheel          the network's weights, out of the package musicnn, by pip
checkpoint     TensorFlow's checkpoint → arrays
graph          arrays → the ONNX file, its place and its checksum
excerpts       a signal in blocks → its excerpts of 3 s
spectrogram    mono audio → a patch, the network's input
network        patches → 200 numbers (embedding) and the probabilities of 50 tags
tag_names      the names of the 50 tags
"""
