"""What is read when: pure functions of (index, config), so that no reader state exists to lose."""
