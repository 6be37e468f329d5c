"""A task, a start and a measure in one file each, and a program that shows where they turn up."""
