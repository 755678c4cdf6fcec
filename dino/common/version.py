"""The name and the version of the distribution. The build reads the version from here, too."""

DISTRIBUTION = "dino-diffusion"  # its name on PyPI; the package that it installs is `dino`
VERSION = "0.1.0"
