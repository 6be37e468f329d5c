"""Train, evaluate and publish robust classifiers."""
