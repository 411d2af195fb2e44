"""Inputs, references and servers that tests share."""
