"""The benchmark: the studio's pages beside Agno's own server and beside bare SQL, on the same rows."""
