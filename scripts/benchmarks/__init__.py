"""Benchmarks whose results are committed under docs/benchmarks."""
