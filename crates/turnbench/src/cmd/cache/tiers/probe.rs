use std::sync::Arc;
use std::time::Duration;

use turnbench_client::{Cancel, Canceller, SingleChat, SingleRequest, reset_prefix_cache};
use turnbench_metrics::{TiersNote, TiersReport};
use turnbench_model::{
    Clock, FailureKind, Message, Nanos, Outcome, Phase, RequestRecord, SampleMoment,
};
use turnbench_rundir::{LinesWriter, RECORDS_FILE, RunDir};
use turnbench_staircase::{
    Answered, Ask, Context, Prober, ProberOptions, Purpose, Step, prompt_text, tiers_report,
};

use super::prepare::Prepared;
use super::screen::Screen;
use super::watch::Watch;
use crate::cmd::signals::{Signals, end_at_once};
use crate::exit::{Exit, WithExitCode};

/// How long a request in flight may go on after the first Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);
/// Statuses of a request that the server does not want, as too long perhaps.
const REFUSING: [u16; 3] = [400, 413, 422];

/// What came of it.
pub(crate) struct Probed {
    pub report: TiersReport,
    /// Why files are incomplete.
    pub problems: Vec<String>,
}

/// Probes to the end of what is to be measured, of the time, or until Ctrl-C.
pub(crate) fn probe(prepared: &Prepared, run_dir: Option<&RunDir>) -> Result<Probed, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut watch = Watch::new(prepared, run_dir)?;
        let lines = run_dir.map(|run_dir| run_dir.create_lines(RECORDS_FILE)).transpose();
        let clock = Arc::clone(prepared.connector.clock());
        let chat = SingleChat::new(
            Arc::clone(&prepared.connector),
            &prepared.headers,
            &prepared.plan.target.served_model_name,
            prepared.plan.request.clone(),
        );
        let mut probe = Probe {
            chat: chat.or_usage()?,
            seed: prepared.plan.seed,
            lines: lines.or_usage()?,
            problems: Vec::new(),
            signals: Signals::new()?,
            screen: Screen::start(clock.now()),
            clock: Arc::clone(&clock),
        };
        let mut notes = Vec::new();
        if prepared.resets
            && reset_prefix_cache(&prepared.connector, &prepared.headers).await.or_usage()?
        {
            notes.push(TiersNote::CacheReset);
        }
        watch.look(SampleMoment::Before).await;
        let (capacity_tokens, block_tokens) = watch.cache();
        let started = clock.now();
        let mut prober = Prober::new(
            ProberOptions {
                budget: prepared.plan.budget_ns,
                prompt_tokens: prepared.plan.prompt_tokens,
                capacity_tokens,
                block_tokens,
                max_prompt_tokens: prepared.max_prompt_tokens,
            },
            started,
        );
        probe.run(&mut prober).await;
        let elapsed = clock.now().since(started);
        probe.screen.end();
        watch.look(SampleMoment::After).await;
        let sent = prober.visits().iter().map(|visit| u64::from(visit.answered.tokens)).sum();
        let mut context = Context {
            url: prepared.plan.target.url.clone(),
            model: prepared.plan.target.served_model_name.clone(),
            server_version: prepared.environment.server_version.clone(),
            kv_bytes_per_token: prepared.plan.kv_bytes_per_token,
            notes,
        };
        let report = tiers_report(&prober, &context, elapsed);
        context.notes.extend(watch.notes(sent, report.levels.len() > 1 || !report.end_found));
        let mut problems = probe.problems;
        problems.extend(watch.take_problems());
        if let Some(lines) = probe.lines
            && let Err(error) = lines.finish().1
        {
            problems.push(crate::exit::describe(&error.into()));
        }
        Ok(Probed { report: tiers_report(&prober, &context, elapsed), problems })
    })
}

struct Probe {
    chat: SingleChat,
    seed: u64,
    lines: Option<LinesWriter>,
    problems: Vec<String>,
    signals: Signals,
    screen: Screen,
    clock: Arc<dyn Clock>,
}

impl Probe {
    async fn run(&mut self, prober: &mut Prober) {
        let started = self.clock.now();
        loop {
            let now = self.clock.now();
            self.screen.show(now, || prober.progress_text(now.since(started)));
            match prober.next(now) {
                Step::Done => return,
                Step::Wait(until) => {
                    let wait = Duration::from_nanos(until.since(now).0);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.signals.next() => prober.interrupt(),
                    }
                }
                Step::Send(ask) => {
                    let (record, is_interrupted) = self.ask(ask).await;
                    self.keep(&record);
                    take(prober, &record, self.clock.now());
                    if is_interrupted {
                        prober.interrupt();
                    }
                }
            }
        }
    }

    /// Sends a prompt; whether Ctrl-C came meanwhile.
    async fn ask(&mut self, ask: Ask) -> (RequestRecord, bool) {
        let message = Message::new("user", prompt_text(self.seed, ask.prompt, ask.words));
        let request = SingleRequest {
            conversation_id: format!("prompt-{}", ask.prompt).into(),
            conversation: ask.prompt,
            turn: ask.sent_before + 1,
            phase: if ask.purpose == Purpose::WarmUp { Phase::Warmup } else { Phase::Main },
            message: &message,
            max_tokens: 1,
        };
        let (canceller, cancel): (Canceller, Cancel) = Canceller::new();
        let asked = self.chat.ask(&request, &cancel);
        let mut asked = std::pin::pin!(asked);
        tokio::select! {
            record = &mut asked => return (record, false),
            () = self.signals.next() => {}
        }
        self.screen
            .say("interrupted: waiting up to 2 s for the request in flight; again to end at once");
        tokio::select! {
            record = &mut asked => return (record, true),
            () = self.signals.next() => end_at_once(),
            () = tokio::time::sleep(GRACE) => {}
        }
        canceller.cancel();
        (asked.await, true)
    }

    /// Hands the record to the kernel at once: nothing that was measured is lost.
    fn keep(&mut self, record: &RequestRecord) {
        let Some(lines) = &mut self.lines else { return };
        if let Err(error) = lines.push(record).and_then(|()| lines.flush())
            && self.problems.is_empty()
        {
            self.problems.push(crate::exit::describe(&error.into()));
        }
    }
}

/// Tells the prober what came of a request.
fn take(prober: &mut Prober, record: &RequestRecord, now: Nanos) {
    let failure = match &record.outcome {
        Outcome::Completed => None,
        Outcome::Failed(failure) => Some(failure),
    };
    if let Some(failure) = failure {
        let is_refused = failure.kind == FailureKind::HttpStatus
            && failure.status.is_some_and(|status| REFUSING.contains(&status));
        prober.failed(&failure.message, is_refused);
        return;
    }
    let usage = record.usage.clone().unwrap_or_default();
    let times = record.stamps.sent_ns.zip(record.stamps.first_token);
    let Some((prompt_tokens, (sent, first))) = usage.prompt_tokens.zip(times) else {
        prober.no_token_counts();
        return;
    };
    let answered = Answered {
        tokens: u32::try_from(prompt_tokens).unwrap_or(u32::MAX),
        ttft: first.at_ns.since(sent),
        cached_tokens: usage.cached_tokens,
        by_tier: usage.cached_by_tier,
    };
    prober.answered(answered, now);
}
