"""The lowest layer, which every other one uses: errors, atomic file replacement, image grids and plots."""
