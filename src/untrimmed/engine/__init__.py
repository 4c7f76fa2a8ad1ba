"""Where work is done: in processes of this machine, or on a Ray cluster, behind one function. Nothing else starts processes."""

from untrimmed.engine.engines import RETRIES, Done, Each, check_engine, each, opened

__all__ = ["RETRIES", "Done", "Each", "check_engine", "each", "opened"]
