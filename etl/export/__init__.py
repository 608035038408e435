"""Writes the rows of a relation into files, reads the files back and judges what they hold."""
