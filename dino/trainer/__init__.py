"""The full trainer: lesson 03's loop, made fast, with run folders, exact resume and several processes."""
