"""The inside of the sandbox: loading, running and grading a learner's code."""
