"""What manage.py serve does, step by step."""
