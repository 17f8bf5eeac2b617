"""The folder of a run: configuration, log, checkpoints, and the trained model that they hold."""
