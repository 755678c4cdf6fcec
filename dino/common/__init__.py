"""What every layer uses: errors, atomic file replacement, image grids and plots."""
