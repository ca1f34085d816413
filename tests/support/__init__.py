"""Helpers of the tests: real servers, made data, and what to compare."""
