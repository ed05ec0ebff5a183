"""What an operator does, one module a verb. Functions take a Project, return values and print nothing."""
