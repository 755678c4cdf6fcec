"""The version of dino. The build reads it from here, too."""

VERSION = "0.1.0"
