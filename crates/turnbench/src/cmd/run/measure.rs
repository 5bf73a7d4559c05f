use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use turnbench_client::run::{self as engine, Records};
use turnbench_metrics::{ReportBuilder, RunFacts, RunReport};
use turnbench_model::TokenCounts;

use super::{direct, finish, prepare, wire};
use crate::args::RunArgs;
use crate::exit::{Exit, ExitCode, WithExitCode};

/// A run of which only the numbers are kept.
pub(crate) struct Measured {
    pub report: RunReport,
    pub facts: RunFacts,
}

/// Runs without screen and files; sends nothing more once `at_most` has passed.
pub(crate) fn measured(args: &RunArgs, at_most: Option<Duration>) -> Result<Measured, Exit> {
    let prepared = prepare::prepare(args)?;
    let (driver, control) = direct(&prepared)?;
    let input = wire::run_input(&prepared);
    let (outlets, mut coming) = Records::new(prepared.plan.client.threads);
    let (ended, has_ended) = mpsc::channel::<()>();
    let (end, records) = std::thread::scope(|scope| {
        // Kept as they are: making numbers of them would take the client's time.
        let keeper = scope.spawn(move || {
            let mut records = Vec::new();
            while coming.take(|record| records.push(record)) {}
            records
        });
        if let Some(at_most) = at_most {
            let control = &control;
            scope.spawn(move || {
                if has_ended.recv_timeout(at_most) == Err(RecvTimeoutError::Timeout) {
                    control.stop();
                }
            });
        }
        let end = engine::run(&input, driver, &control, outlets);
        drop(ended);
        let records = keeper.join().map_err(|_| anyhow::anyhow!("the recorder panicked"));
        records.map(|records| (end, records))
    })?;
    let end = end.exit(ExitCode::Internal)?;
    let facts = finish::facts(args, &prepared, &end);
    let mut builder = ReportBuilder::new(&prepared.plan);
    for record in &records {
        builder.add(record, &TokenCounts::default());
    }
    Ok(Measured { report: builder.report(&prepared.environment, &facts), facts })
}
