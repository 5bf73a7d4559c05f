//! turnbench-load
