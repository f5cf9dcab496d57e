"""Reporting: tables, one self-contained HTML page, and the Chrome trace."""
