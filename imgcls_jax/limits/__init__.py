"""What a prediction is worth: a temperature, sets of classes that hold the true one, "unknown".

All of it is learned from examples that the network was not trained on, and never from the test set.
The functions are NumPy on logits and features; `kept` reads and writes them in a run's folder.
"""
