"""The commands: each module parses, calls and prints. Heavy modules are imported by the command that needs them."""
