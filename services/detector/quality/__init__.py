"""Data quality: shares of rows that are not as rows should be, watched on all traffic and in segments."""
