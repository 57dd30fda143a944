"""What the tables of docs/results.md come from: the trainings, their tuning, and the tables themselves."""
