"""Common wrong answers to each exercise, one file per lesson."""
