"""Training images: where they come from, how they are decoded, and the embedded sets."""
