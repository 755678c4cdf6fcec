"""The embedded picture set (emoji.parquet), its licences (NOTICE.md) and the script that builds it."""
