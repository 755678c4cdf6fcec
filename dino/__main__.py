"""`python -m dino` is the `dino` command."""

from .cli import main

main()
