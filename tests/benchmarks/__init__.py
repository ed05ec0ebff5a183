"""Measurements, run by hand (`make bench`): whole commands on an embedded cloud, with peers in the same run.

They print a table and write bench-results.json (never committed). No test asserts on any of it.
"""
