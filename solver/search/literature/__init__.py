"""Literature: tables and programmes of published planners."""
