"""What JSON files must hold, as Python types, and the one reader that holds them to it."""
