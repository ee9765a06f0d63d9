"""Documented runs and claims, measured over seeds: what to run, who runs it, what it comes to."""
