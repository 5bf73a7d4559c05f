//! turnbench-workload
