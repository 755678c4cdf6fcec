"""Measurements of a model, a run or a machine, written as tables, plots and JSON."""
