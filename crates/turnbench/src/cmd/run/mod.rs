//! `turnbench run`: prepare, replay, report.

mod content;
mod fill;
mod finish;
mod interrupt;
mod measure;
mod observer;
mod outputs;
mod prepare;
mod problems;
mod progress;
mod prompts;
mod read_back;
mod recorder;
mod screen;
mod wire;
mod workload;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use turnbench_client::run::{self as engine, Control, Records, RunEnd};
use turnbench_load::{ConversationShape, Driver};
use turnbench_metrics::RunReport;
use turnbench_model::{Compat, Phase, Plan, SampleMoment, TokenizerSource};
use turnbench_rundir::{
    ENVIRONMENT_FILE, LinesWriter, MetricsWriter, PLAN_FILE, RECORDS_FILE, RunDir,
    SERVER_METRICS_FILE,
};

use crate::args::RunArgs;
use crate::cmd::output;
use crate::exit::{Exit, ExitCode, WithExitCode};
use crate::resolve::RunDirPlace;
use content::Content;
pub(crate) use finish::take_in;
pub(crate) use measure::{Measured, measured};
use observer::{Observed, Observer};
use prepare::Prepared;
use progress::Progress;
pub(crate) use prompts::BLOCK_TOKENS;
use recorder::{Recorded, Recorder, Told};
use screen::Screen;

/// A run that has ended.
pub(crate) struct Finished {
    pub report: RunReport,
    pub code: ExitCode,
    pub run_dir: Option<PathBuf>,
}

impl Finished {
    /// Says where the run's files are.
    pub(crate) fn say_run_dir(&self) {
        if let Some(run_dir) = &self.run_dir {
            anstream::eprintln!("run directory: {}", run_dir.display());
        }
    }
}

/// `turnbench run`.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Exit> {
    let finished = execute(args)?;
    finished.say_run_dir();
    Ok(finished.code)
}

/// Runs, prints, writes every file.
pub(crate) fn execute(args: &RunArgs) -> Result<Finished, Exit> {
    let prepared = prepare::prepare(args)?;
    let (driver, control) = direct(&prepared)?;
    let run_dir = create_run_dir(&prepared)?;
    if let Some(run_dir) = &run_dir {
        // Said now, so that whoever has to kill the run knows where its records are.
        anstream::eprintln!("records go to {}", run_dir.path().display());
    }
    // Until the very end: counting the tokens of a long run may take a while too.
    let _signals = interrupt::watch(&control)?;
    let replayed = replay(args, &prepared, driver, &control, run_dir.as_ref())?;
    let mut finished = finish::finish(args, &prepared, run_dir.as_ref(), replayed)?;
    if control.is_stopped() {
        finished.code = ExitCode::Interrupted;
    }
    Ok(finished)
}

/// Who sends what. A workload of which nothing would be sent is refused, except where the reference
/// program is reproduced.
fn direct(prepared: &Prepared) -> Result<(Driver, Arc<Control>), Exit> {
    let shapes = prepared.conversations.iter().map(ConversationShape::from).collect();
    let driver = Driver::new(&prepared.plan.load, shapes)?;
    let control = Control::new(&driver);
    if control.planned_requests() == 0 && prepared.plan.compat == Compat::None {
        return Err(Exit::usage(
            "there is nothing to send: no conversation has a message to answer\nhint: a user \
             message is one, within --max-turns messages from the start",
        ));
    }
    Ok((driver, control))
}

/// Creates the run directory with everything known before the first request.
fn create_run_dir(prepared: &Prepared) -> Result<Option<RunDir>, Exit> {
    let run_dir = match &prepared.run_dir {
        RunDirPlace::Nowhere => return Ok(None),
        RunDirPlace::Given(path) => RunDir::create(path).or_usage()?,
        RunDirPlace::Default(path) => RunDir::create_new(path).or_usage()?,
    };
    run_dir.write_json(PLAN_FILE, &prepared.plan).or_usage()?;
    run_dir.write_json(ENVIRONMENT_FILE, &prepared.environment).or_usage()?;
    Ok(Some(run_dir))
}

/// Where records go without a run directory: not into memory, if it can be helped.
fn unnamed_lines() -> LinesWriter {
    LinesWriter::unnamed().unwrap_or_else(|error| {
        let error = crate::exit::describe(&error.into());
        output::warn(format!("{error}; the records of the run stay in memory"));
        LinesWriter::in_memory()
    })
}

/// Whether counting tokens costs a request each, so that only what the server did not report is
/// counted.
fn counts_by_server(plan: &Plan) -> bool {
    plan.workload.tokenizer == TokenizerSource::Server && plan.compat == Compat::None
}

/// What came of a replay.
pub(crate) struct Replayed {
    pub end: RunEnd,
    pub recorded: Recorded,
    /// `None`: the server's metrics were not asked for.
    pub observed: Option<Observed>,
}

/// An observer of the server's metrics, and where its samples go.
fn observer(
    args: &RunArgs,
    prepared: &Prepared,
    run_dir: Option<&RunDir>,
) -> Result<Option<Observer>, Exit> {
    let writer = match run_dir {
        Some(run_dir) if prepared.plan.metrics.is_some() => {
            Some(MetricsWriter::new(run_dir.create_lines(SERVER_METRICS_FILE).or_usage()?))
        }
        Some(_) | None => None,
    };
    Observer::start(prepared, &prepare::tls(args), writer)
}

/// Sends everything; the records go to the disk meanwhile.
fn replay(
    args: &RunArgs,
    prepared: &Prepared,
    driver: Driver,
    control: &Arc<Control>,
    run_dir: Option<&RunDir>,
) -> Result<Replayed, Exit> {
    let input = wire::run_input(prepared);
    let lines = match run_dir {
        Some(run_dir) => run_dir.create_lines(RECORDS_FILE).or_usage()?,
        None => unnamed_lines(),
    };
    let observer = observer(args, prepared, run_dir)?;
    let look = |moment| observer.as_ref().map_or((), |observer| observer.look(moment));
    if prepared.plan.load.warmup_step {
        look(SampleMoment::Start);
    }
    let clock = Arc::clone(prepared.connector.clock());
    let phase = if prepared.plan.load.warmup_step { Phase::Warmup } else { Phase::Main };
    let progress = Progress::start(
        phase,
        prepared.plan.request.stream,
        control.planned_requests(),
        clock.now(),
    );
    let recorder = Recorder {
        lines,
        is_kept: run_dir.is_some(),
        usage_missing: counts_by_server(&prepared.plan).then(BTreeSet::new),
        screen: Screen::start(progress, Arc::clone(&clock))?,
        progress,
        control,
        clock,
        told: Told {
            failures: args.verbose,
            content: args
                .print_content
                .then(|| Content::new(&prepared.conversations, &prepared.plan)),
        },
    };
    let (outlets, records) = Records::new(prepared.plan.client.threads);
    let outcome = std::thread::scope(|scope| {
        let recorder = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn_scoped(scope, move || recorder.run(records))?;
        let mut before_main = || look(SampleMoment::Before);
        let end = engine::run_with(&input, driver, control, outlets, &mut before_main);
        let recorded = recorder.join().map_err(|_| anyhow::anyhow!("the recorder panicked"))?;
        Ok::<_, anyhow::Error>((end, recorded))
    });
    let (end, recorded) = outcome.exit(ExitCode::Internal)?;
    if control.is_stopped() {
        output::warn("interrupted; what was measured is kept");
    }
    let observed = observer.and_then(|observer| {
        let observed = observer.finish();
        if observed.is_none() {
            output::warn("the thread that watched the server's metrics failed; they are left out");
        }
        observed
    });
    Ok(Replayed { end: end.or_usage()?, recorded, observed })
}
