use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Runtime;
use turnbench_client::TlsOptions;
use turnbench_model::{Clock, MetricsSample, Nanos, SampleMoment, Scrape, ServerFigures};
use turnbench_observe::{FiguresBuilder, counts_alike};
use turnbench_rundir::MetricsWriter;

use super::prepare::Prepared;
use crate::cmd::page_source::PageSource;
use crate::cmd::server::ServerAccess;
use crate::exit::Exit;

/// How long counters may take to stand still.
const SETTLE: Nanos = Nanos::from_millis(2_000);
/// URLs that are asked together.
const AT_A_TIME: usize = 16;
/// Time between two looks at whether they do.
const SETTLE_STEP: Duration = Duration::from_millis(50);

/// Watches the server's metrics on a thread of its own, never on a client's.
pub(crate) struct Observer {
    asks: SyncSender<Ask>,
    thread: JoinHandle<Observed>,
}

/// What was seen.
pub(crate) struct Observed {
    pub figures: ServerFigures,
    /// Why `server_metrics.jsonl` is incomplete.
    pub disk_error: Option<String>,
}

/// A look that is to be taken now.
struct Ask {
    moment: SampleMoment,
    done: SyncSender<()>,
}

impl Observer {
    /// An observer of the plan's URLs; `None` where there are none to observe.
    pub(crate) fn start(
        prepared: &Prepared,
        tls: &TlsOptions,
        writer: Option<MetricsWriter>,
    ) -> Result<Option<Self>, Exit> {
        let Some(plan) = &prepared.plan.metrics else { return Ok(None) };
        let clock = Arc::clone(prepared.connector.clock());
        let server = ServerAccess { connector: &prepared.connector, headers: &prepared.headers };
        let sources = plan.urls.iter().map(|url| {
            Ok(Source { page: PageSource::new(url, &server, tls)?, is_given_up: false })
        });
        let sources = sources.collect::<Result<_, Exit>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let watch = Watch {
            sources,
            interval: plan.interval_ns,
            runtime,
            clock,
            figures: FiguresBuilder::default(),
            writer,
            disk_error: None,
        };
        // One question at a time is asked, and its answer waited for.
        let (asks, asked) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("observer".to_owned())
            .spawn(move || watch.run(&asked))?;
        Ok(Some(Self { asks, thread }))
    }

    /// Looks now; returns when that is done. From `Before` on looks follow at the interval.
    pub(crate) fn look(&self, moment: SampleMoment) {
        let (done, is_done) = sync_channel(1);
        if self.asks.send(Ask { moment, done }).is_ok() {
            // An observer that has panicked is found out at the end.
            let _ = is_done.recv();
        }
    }

    /// Looks a last time and gives what was seen; `None` if the observer has panicked, which must not
    /// cost the run its records.
    pub(crate) fn finish(self) -> Option<Observed> {
        self.look(SampleMoment::After);
        drop(self.asks);
        self.thread.join().ok()
    }
}

/// One URL.
struct Source {
    page: PageSource,
    /// It had no page before the run, so that it is not asked again and again.
    is_given_up: bool,
}

/// The observer's thread.
struct Watch {
    sources: Vec<Source>,
    interval: Option<Nanos>,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    figures: FiguresBuilder,
    writer: Option<MetricsWriter>,
    disk_error: Option<String>,
}

impl Watch {
    fn run(mut self, asked: &Receiver<Ask>) -> Observed {
        let mut due: Option<Nanos> = None;
        let mut has_warmed_up = false;
        loop {
            let ask = match due {
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => {
                    asked.recv_timeout(Duration::from_nanos(due.since(self.clock.now()).0))
                }
            };
            match ask {
                Ok(Ask { moment, done }) => {
                    match moment {
                        SampleMoment::Start => has_warmed_up = true,
                        SampleMoment::Before | SampleMoment::During | SampleMoment::After => {}
                    }
                    self.look(moment, has_warmed_up);
                    let now = self.clock.now();
                    due = self
                        .interval
                        .filter(|_| moment == SampleMoment::Before)
                        .map(|interval| now + interval);
                    // Whoever asked may have gone.
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.sample_all(SampleMoment::During);
                    due = self.next_due(due);
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Observed { figures: self.figures.finish(), disk_error: self.disk_error }
    }

    /// The next moment of the interval that is still to come.
    fn next_due(&self, due: Option<Nanos>) -> Option<Nanos> {
        let (due, interval) = (due?, self.interval?);
        let late = self.clock.now().since(due).0;
        Some(due + Nanos(interval.0 * (1 + late / interval.0)))
    }

    /// A look; where answers came just before, looks until the counters stand still.
    fn look(&mut self, moment: SampleMoment, has_warmed_up: bool) {
        let begun = self.clock.now();
        let mut last = self.sample_all(moment);
        let settles = match moment {
            SampleMoment::Before => has_warmed_up,
            SampleMoment::After => true,
            SampleMoment::Start | SampleMoment::During => false,
        };
        while settles && self.clock.now().since(begun) < SETTLE {
            self.runtime.block_on(async { tokio::time::sleep(SETTLE_STEP).await });
            let next = self.sample_all(moment);
            if stands_still(&last, &next) {
                break;
            }
            last = next;
        }
        if matches!(moment, SampleMoment::Start | SampleMoment::Before) {
            for (source, sample) in self.sources.iter_mut().filter(|it| !it.is_given_up).zip(&last)
            {
                source.is_given_up |= matches!(sample.scrape, Scrape::Failed(_));
            }
        }
    }

    /// Asks some sources at a time, so that one that does not answer keeps few others waiting.
    fn sample_all(&mut self, moment: SampleMoment) -> Vec<MetricsSample> {
        let mut samples = Vec::new();
        let mut sources: Vec<_> =
            self.sources.iter_mut().filter(|source| !source.is_given_up).collect();
        for some in sources.chunks_mut(AT_A_TIME) {
            let asked = some.iter_mut().map(|source| source.page.sample(moment));
            samples.extend(self.runtime.block_on(join_all(asked)));
        }
        for sample in &samples {
            self.figures.add(sample);
            if let Some(writer) = &mut self.writer
                && let Err(error) = writer.push(sample)
            {
                let error = crate::exit::describe(&error.into());
                self.disk_error.get_or_insert(error);
            }
        }
        samples
    }
}

/// Whether nothing was counted between two looks. A source that fails does not keep anybody waiting.
fn stands_still(last: &[MetricsSample], next: &[MetricsSample]) -> bool {
    last.iter().zip(next).all(|(last, next)| match (&last.scrape, &next.scrape) {
        (Scrape::Page(last), Scrape::Page(next)) => counts_alike(last, next),
        (_, Scrape::Failed(_)) => true,
        (Scrape::Failed(_), Scrape::Page(_)) => false,
    })
}
