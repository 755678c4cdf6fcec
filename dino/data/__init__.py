"""Training images, from a source such as "emoji:faces" or a folder to one uint8 tensor.

loading.py       `load_images`, which does all of it
sources.py       the kinds of sources. A new kind begins here
embedded.py, folder.py, parquet.py, hub.py    one kind each: find the encoded images of a source
encoded_image.py what they find: a name, and a function that reads the file's bytes
decoding.py      encoded images become square uint8 tensors
cache.py         decoded images are kept on disk
"""
