"""The command line: one thin file a command, each a call of the Python API and a way to print.

No module here imports torch at its top, so that help, completion and --version are quick.
"""
