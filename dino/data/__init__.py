"""Training images, from a source such as "dinos" or a folder to one uint8 tensor, and the words that describe them.

loading.py       `load_images` and `load_labeled_images`, which do all of it
sources.py       the kinds of sources. A new kind begins here
embedded.py, folder.py, parquet.py, hub.py    one kind each: find the encoded images of a source
encoded_image.py what they find: a name, a function that reads the file's bytes, and words
words.py         from words to a vocabulary and a table, and from a request to words
decoding.py      encoded images become square uint8 tensors
cache.py         decoded images are kept on disk
"""
