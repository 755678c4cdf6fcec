"""Reports on a model, a run or a machine, as tables, plots and JSON."""
