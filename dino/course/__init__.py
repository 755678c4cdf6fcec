"""What grades and guides: the lessons' graders, the learner's parts, hints, progress. It never runs a learner's code
in its own process: that happens in `room`.
"""
