"""Grading and guiding: the lessons, their graders, a learner's parts, hints and progress.

A learner's code never runs in the process of pytest. It runs in the sandbox: `sandbox` is its parent's side, and
`grader` its inside. `dino train --mine` and `parts()` run the code in their own process, once it has passed.
"""
