use turnbench_metrics::{ServerReport, TiersNote};
use turnbench_model::{Figure, MetricsSample, SampleMoment, ServerFigures};
use turnbench_observe::FiguresBuilder;
use turnbench_rundir::{MetricsWriter, RunDir, SERVER_METRICS_FILE};

use super::prepare::Prepared;
use crate::cmd::page_source::PageSource;
use crate::exit::{Exit, WithExitCode};

/// Other requests' tokens beyond this share of our own are told.
const OTHER_TRAFFIC_RATIO: f64 = 0.02;

/// The server's metrics before and after.
pub(crate) struct Watch {
    sources: Vec<PageSource>,
    samples: Vec<MetricsSample>,
    writer: Option<MetricsWriter>,
    problems: Vec<String>,
}

impl Watch {
    /// Watches the plan's URLs, if any.
    pub(crate) fn new(prepared: &Prepared, run_dir: Option<&RunDir>) -> Result<Self, Exit> {
        let urls = prepared.plan.metrics.iter().flat_map(|plan| &plan.urls);
        let sources = urls.map(|url| PageSource::new(url, &prepared.access(), &prepared.tls));
        let sources: Vec<_> = sources.collect::<Result<_, _>>()?;
        let writer = match run_dir {
            Some(run_dir) if !sources.is_empty() => {
                Some(MetricsWriter::new(run_dir.create_lines(SERVER_METRICS_FILE).or_usage()?))
            }
            Some(_) | None => None,
        };
        Ok(Self { sources, samples: Vec::new(), writer, problems: Vec::new() })
    }

    /// Asks for every page.
    pub(crate) async fn look(&mut self, moment: SampleMoment) {
        for source in &mut self.sources {
            let sample = source.sample(moment).await;
            if let Some(writer) = &mut self.writer
                && let Err(error) = writer.push(&sample)
            {
                self.problems.push(crate::exit::describe(&error.into()));
            }
            self.samples.push(sample);
        }
    }

    /// What went wrong with the file.
    pub(crate) fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }

    fn figures(&self) -> ServerFigures {
        let mut builder = FiguresBuilder::default();
        for sample in &self.samples {
            builder.add(sample);
        }
        builder.finish()
    }

    /// Tokens of the device's cache and of its blocks, as the server tells them.
    pub(crate) fn cache(&self) -> (Option<u64>, Option<u32>) {
        let figures = self.figures();
        let block = figures.reading(Figure::KvBlockSize).and_then(|reading| reading.before);
        let block = block.filter(|tokens| *tokens >= 1.0).map(|tokens| tokens as u32);
        let tokens = ServerReport::of(figures).device_capacity_tokens();
        (tokens.filter(|tokens| *tokens > 0), block)
    }

    /// What the counters tell, of a server to which `sent_tokens` of prompts were sent from here.
    /// `found_behind`: whether anything was found behind the device.
    pub(crate) fn notes(&self, sent_tokens: u64, found_behind: bool) -> Vec<TiersNote> {
        let figures = self.figures();
        let mut notes = Vec::new();
        let stored = [Figure::OffloadStoreBytes, Figure::TierWriteBytes];
        let stored: f64 = stored.into_iter().filter_map(|it| figures.growth(it)).sum();
        if stored > 0.0 && !found_behind {
            notes.push(TiersNote::StoredButNotFound { bytes: stored });
        }
        if let Some(tokens) = figures.growth(Figure::PromptTokens) {
            let others = tokens - sent_tokens as f64;
            if others > OTHER_TRAFFIC_RATIO * sent_tokens as f64 {
                notes.push(TiersNote::OtherTraffic { tokens: others });
            }
        }
        notes
    }
}
