"""What runs inside the sandbox: loading and grading the code of a learner."""
