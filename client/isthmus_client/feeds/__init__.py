"""Where rows come from: files and databases, opened read-only and read in bounded memory."""
