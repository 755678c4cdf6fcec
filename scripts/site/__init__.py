"""How the site and the notebooks are made from the Markdown in docs. It starts in hook.py."""
