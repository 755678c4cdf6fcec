"""The `dino` command: one file per command or family of commands."""
