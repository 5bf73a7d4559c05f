//! turnbench-simserver
