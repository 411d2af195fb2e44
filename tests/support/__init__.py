"""Inputs, references and servers that several tests share."""
