"""Settings to start from, a file per experiment; `choose` picks one.

Each file's docstring says of every preset how it was measured, in records of

  command, machine, seeds   what ran where, and over which seeds
  accuracy, seconds         test accuracy, mean and sample standard deviation; training time, least
                            to most, on a machine shared with other work
  file                      the result that holds all of it, with settings and versions

or "not measured". A test compares every record with its file.
"""
