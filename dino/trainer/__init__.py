"""The full trainer: lesson 03's loop with speed, run folders, exact resume and several processes around it."""
