"""Workers: processes that play the devices of a run, and how they are started."""
