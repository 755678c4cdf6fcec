"""Programs for maintainers: build the data, build the site, run the benchmarks."""
