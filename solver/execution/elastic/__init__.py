"""Training that goes on when devices die, freeze, fall silent, and come back."""
