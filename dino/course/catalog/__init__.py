"""What graders know about each lesson besides its tests: common mistakes, and hints."""
