"""Build the embedded data sets and the pretrained model."""
