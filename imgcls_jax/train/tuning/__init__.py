"""The search for settings: a study of trials, and its finals."""
