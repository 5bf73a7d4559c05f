//! turnbench-random
