"""The build of the site and of the notebooks from the Markdown in docs. Begin with hook.py."""
