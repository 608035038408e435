"""The command ``etl``."""
