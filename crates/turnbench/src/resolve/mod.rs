//! From what the user typed to what will be done. Every rule about a flag's value is here;
//! nothing here touches the network.

mod client;
mod data_set;
mod ledger;
mod load;
mod metrics;
mod output;
mod request;
mod target;
mod warmup;

pub(crate) use client::{check_threads, client_plan};
pub(crate) use data_set::{DataSetChoice, data_set_choice, format};
pub(crate) use ledger::ledger_plan;
pub(crate) use load::load_plan;
pub(crate) use metrics::metrics_plan;
pub(crate) use output::{OutputFiles, RunDirPlace, check_writable, run_dir_place};
pub(crate) use request::{parse_extra_body, request_plan};
pub(crate) use target::target;
pub(crate) use warmup::warmup_fractions;
