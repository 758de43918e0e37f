"""Work on everything that is stored of a model: counting, exporting, importing, writing keys anew, looking for faults.

Each piece of work is an iterator of steps, so that whoever runs it can show how far it has come, and stop it
after any step. What needs to go on where it stopped keeps a progress file.
"""
