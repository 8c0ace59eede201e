"""What makes a row usable: one set of rules for checking, storing and simulating alike."""
