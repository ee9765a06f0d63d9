"""Settings to start from, a file per experiment; `choose` picks one."""
