"""Training images, from a source such as "dinos" or a folder to one uint8 tensor, and the words that describe them.

loading.py       `load_images` and `load_labeled_images`, which do all of it
sources.py       the kinds of sources. A new kind begins here
embedded.py, folder.py, parquet.py, hub.py    one kind each: find the encoded images of a source
encoded_image.py what they find: a name, a function that reads the file's bytes, and words
splits.py        which files of a folder are for training, validation and testing
addresses.py     addresses on the web, which are no sources
words.py         from words to a vocabulary and a table, and from a request to words
decoding.py      encoded images become square uint8 tensors
losses.py        what decoding takes from an image
cache.py         decoded images are kept on disk, and mapped into memory from there
space.py         how much a set needs, what there is, and where the images go
"""
