"""`hpo dashboard`: who comes in, what they may do, and what they see."""
