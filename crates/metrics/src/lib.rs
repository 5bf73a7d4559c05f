//! turnbench-metrics
