mod calibrate;
mod explore;
mod measure;

use std::collections::VecDeque;

use turnbench_metrics::{CannotTell, ProbingEnd};
use turnbench_model::Nanos;

use self::measure::Measure;
use crate::findings::{Findings, LIKE_LENGTH};
use crate::recency::{Place, Recency};
use crate::sizes::Sizes;
use crate::visit::{Answered, Purpose, Visit};

/// Failures in a row after which the server counts as gone.
const FAILURES_MAX: u32 = 3;
/// Most prompts: each is a few hundred bytes of memory.
const PROMPTS_MAX: usize = 200_000;
/// Tokens of a block in most servers.
const BLOCK_TOKENS: u32 = 16;
/// Prompts differ in length by at most so many words, and by at most this part of them.
const JITTER_WORDS_MAX: u32 = 16;
const JITTER_PART: u32 = 8;
/// Pause after a new prompt, by the time that it took, at first.
const PAUSE_RATIO: f64 = 0.5;
/// By how much the pauses grow for what is measured again.
const PAUSE_FACTOR: f64 = 3.0;

/// What the prober is told.
#[derive(Clone, Debug, PartialEq)]
pub struct ProberOptions {
    /// How long it may take.
    pub budget: Nanos,
    /// Length of prompts in tokens; `None`: by what is known of the server.
    pub prompt_tokens: Option<u32>,
    /// Capacity of the device's cache that the server tells.
    pub capacity_tokens: Option<u64>,
    /// Tokens of its blocks that it tells.
    pub block_tokens: Option<u32>,
    /// Longest prompt that it takes.
    pub max_prompt_tokens: Option<u32>,
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send a prompt, and tell [`Prober::answered`] or [`Prober::failed`].
    Send(Ask),
    /// Send nothing before this time.
    Wait(Nanos),
    /// Nothing more.
    Done,
}

/// A prompt to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ask {
    /// Its number, from 0: its text follows from it.
    pub prompt: u32,
    /// Words of its text.
    pub words: u32,
    /// How often it has been sent before.
    pub sent_before: u32,
    /// Why it is sent.
    pub purpose: Purpose,
}

/// Something planned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Planned {
    /// A new prompt of about so many tokens.
    Fresh { tokens: u32, purpose: Purpose },
    /// A known prompt.
    Again { prompt: u32, purpose: Purpose },
    /// Time for the server to finish what it does behind its answers.
    Rest(Nanos),
}

/// What the probing is at.
#[derive(Clone, Debug)]
enum Phase {
    WarmUp,
    Calibrate,
    /// New prompts up to `target` tokens in this round, old ones looked at beyond `known`.
    Explore {
        known: u64,
        target: u64,
        is_written: bool,
    },
    Measure(Box<Measure>),
}

/// A prompt that was made.
#[derive(Clone, Copy, Debug)]
struct Made {
    words: u32,
    sent_count: u32,
}

/// Decides which prompt to send next, to find how far each level of a server's cache reaches and what
/// it costs to load from it.
///
/// 1. Warm up; learn how many tokens words make.
/// 2. Calibrate: prompts of four lengths, each sent twice: computing, and finding on the device.
/// 3. Explore: new prompts, half as many again each time; of those that are then far back some are sent
///    again, the most recent first, so that all of their distances are those at which they were left. Until
///    the farthest are computed anew.
/// 4. Measure: as many new prompts of several lengths, written more slowly; then those around each end, by
///    bisection, and some of each length in each level. If this finds more than exploring did, the server had
///    not stored everything in time: exploring goes on from there, more slowly.
#[derive(Debug)]
pub struct Prober {
    options: ProberOptions,
    started: Nanos,
    phase: Phase,
    queue: VecDeque<Planned>,
    asked: Option<Ask>,
    wait_until: Option<Nanos>,
    sizes: Sizes,
    made: Vec<Made>,
    recency: Recency,
    visits: Vec<Visit>,
    /// Length of prompts, in tokens.
    tokens: u32,
    /// Lengths that are used, ascending.
    lengths: Vec<u32>,
    /// Time of computing a token, in ms.
    ms_per_token: f64,
    round: u32,
    /// First round that counts.
    since: u32,
    pause_ratio: f64,
    /// Tokens of new prompts in the rounds that count.
    round_tokens: u64,
    failures_in_row: u32,
    failed_count: u64,
    end: Option<ProbingEnd>,
    pub(crate) slow_stores: Option<f64>,
    pub(crate) is_measured: bool,
    pub(crate) is_growing: bool,
}

impl Prober {
    /// A prober that starts at `now`.
    pub fn new(options: ProberOptions, now: Nanos) -> Self {
        Self {
            options,
            started: now,
            phase: Phase::WarmUp,
            queue: calibrate::warm_up(),
            asked: None,
            wait_until: None,
            sizes: Sizes::default(),
            made: Vec::new(),
            recency: Recency::default(),
            visits: Vec::new(),
            tokens: 0,
            lengths: Vec::new(),
            ms_per_token: 0.0,
            round: 0,
            since: 1,
            pause_ratio: PAUSE_RATIO,
            round_tokens: 0,
            failures_in_row: 0,
            failed_count: 0,
            end: None,
            slow_stores: None,
            is_measured: false,
            is_growing: false,
        }
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Nanos) -> Step {
        loop {
            if self.end.is_some() {
                return Step::Done;
            }
            if now >= self.deadline() {
                self.end = Some(ProbingEnd::BudgetSpent);
                return Step::Done;
            }
            if let Some(until) = self.wait_until.filter(|until| now < *until) {
                return Step::Wait(until.min(self.deadline()));
            }
            self.wait_until = None;
            match self.queue.pop_front() {
                Some(Planned::Rest(time)) => self.wait_until = Some(now + time),
                Some(Planned::Fresh { tokens, purpose }) => {
                    let prompt = self.made.len() as u32;
                    let words = jittered(self.sizes.words(tokens), prompt);
                    self.made.push(Made { words, sent_count: 0 });
                    return self.send(prompt, purpose);
                }
                Some(Planned::Again { prompt, purpose }) => return self.send(prompt, purpose),
                None => self.plan(now),
            }
        }
    }

    fn send(&mut self, prompt: u32, purpose: Purpose) -> Step {
        let made = &mut self.made[prompt as usize];
        let ask = Ask { prompt, words: made.words, sent_before: made.sent_count, purpose };
        made.sent_count += 1;
        self.asked = Some(ask);
        Step::Send(ask)
    }

    /// The request of the last step was answered.
    pub fn answered(&mut self, answered: Answered, now: Nanos) {
        let Some(ask) = self.asked.take() else { return };
        self.failures_in_row = 0;
        let left = self.resident(answered.tokens);
        let newer_tokens = self.recency.touch(ask.prompt, left);
        match ask.purpose {
            Purpose::WarmUp | Purpose::Fresh => {
                self.sizes.learn(ask.words, answered.tokens);
                self.round_tokens += u64::from(left);
                if ask.purpose == Purpose::Fresh && self.round > 0 {
                    let pause = answered.ttft.as_secs_f64() * self.pause_ratio;
                    self.wait_until = Some(now + Nanos((pause * 1e9) as u64));
                }
            }
            Purpose::Again | Purpose::Revisit => {}
        }
        let (round, purpose) = (self.round, ask.purpose);
        self.visits.push(Visit { prompt: ask.prompt, purpose, round, newer_tokens, answered });
    }

    /// The request of the last step failed. `is_refused`: the server did not want it, as too long perhaps.
    pub fn failed(&mut self, message: &str, is_refused: bool) {
        let Some(ask) = self.asked.take() else { return };
        self.failed_count += 1;
        if is_refused && self.drop_longest() {
            return;
        }
        self.failures_in_row += 1;
        // What it left nobody knows; it is as far away as if it had been answered.
        let tokens = self.tokens.max(1);
        self.recency.touch(ask.prompt, tokens);
        if self.failures_in_row >= FAILURES_MAX {
            self.end = Some(ProbingEnd::ServerFailed { message: message.to_owned() });
        }
    }

    /// Ends it: Ctrl-C.
    pub fn interrupt(&mut self) {
        self.end = Some(ProbingEnd::Interrupted);
    }

    /// Answers do not say how long prompts are.
    pub fn no_token_counts(&mut self) {
        self.cannot_tell(CannotTell::NoTokenCounts);
    }

    /// What it is at, in words, after `elapsed`.
    pub fn progress_text(&self, elapsed: Nanos) -> String {
        let activity = match &self.phase {
            Phase::WarmUp => "warming up".to_owned(),
            Phase::Calibrate => format!("calibrating with prompts of {} tokens", self.tokens),
            Phase::Explore { target, .. } => {
                format!("exploring up to {target} tokens, {} written", self.round_tokens)
            }
            Phase::Measure(measure) => {
                let target = measure.target();
                format!("measuring up to {target} tokens, {} written", self.round_tokens)
            }
        };
        format!(
            "{activity}; {} requests, {:.0} of at most {:.0} s",
            self.visits.len(),
            elapsed.as_secs_f64(),
            self.options.budget.as_secs_f64()
        )
    }

    /// How it ended, if it has.
    pub const fn end(&self) -> Option<&ProbingEnd> {
        self.end.as_ref()
    }

    /// Every answered request.
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// Requests that failed.
    pub const fn failed_count(&self) -> u64 {
        self.failed_count
    }

    /// What it was told.
    pub(crate) const fn options(&self) -> &ProberOptions {
        &self.options
    }

    /// The first round that counts.
    pub(crate) const fn since(&self) -> u32 {
        self.since
    }

    /// What is known so far.
    pub(crate) fn findings(&self) -> Option<Findings> {
        let tokens = f64::from(self.tokens);
        Findings::of(&self.visits, self.since, tokens, self.block_tokens())
    }

    fn deadline(&self) -> Nanos {
        self.started + self.options.budget
    }

    fn cannot_tell(&mut self, why: CannotTell) {
        self.end = Some(ProbingEnd::CannotTell { why });
    }

    /// Tokens of a block, or what most servers have where this one does not tell.
    fn block_tokens(&self) -> f64 {
        f64::from(self.options.block_tokens.unwrap_or(BLOCK_TOKENS))
    }

    /// Tokens that a prompt leaves: whole blocks, where their size is known.
    fn resident(&self, tokens: u32) -> u32 {
        let block = self.options.block_tokens.unwrap_or(1).max(1);
        (tokens - tokens % block).max(1)
    }

    fn plan(&mut self, now: Nanos) {
        if self.made.len() >= PROMPTS_MAX {
            self.end = Some(ProbingEnd::BudgetSpent);
            return;
        }
        match self.phase.clone() {
            Phase::WarmUp => self.start_calibrating(),
            Phase::Calibrate => self.end_calibrating(),
            Phase::Explore { known, target, is_written } => {
                self.explore(now, known, target, is_written);
            }
            Phase::Measure(measure) => self.measure(now, measure),
        }
    }

    /// Whether a prompt is of the plain length.
    fn is_plain(&self, place: &Place) -> bool {
        LIKE_LENGTH.contains(&(f64::from(place.tokens) / f64::from(self.tokens)))
    }

    /// Time that writing so many new tokens takes, pauses included.
    fn writing_time(&self, tokens: u64, pause_ratio: f64) -> Nanos {
        Nanos((tokens as f64 * self.ms_per_token.max(0.0) * (1.0 + pause_ratio) * 1e6) as u64)
    }

    /// A rest after writing for so long.
    fn rest_after(&mut self, writing: Nanos) {
        const SHARE: u64 = 10;
        let (least, most) = (Nanos::from_millis(20), Nanos::from_millis(3_000));
        self.queue.push_back(Planned::Rest(Nanos(writing.0 / SHARE).clamp(least, most)));
    }
}

/// Some words more or less, so that prompts end at all places of a block: what is computed of a prompt
/// that was found then varies as it does for others' prompts.
fn jittered(words: u32, prompt: u32) -> u32 {
    let most = (words / JITTER_PART).min(JITTER_WORDS_MAX);
    let random = prompt.wrapping_mul(2_654_435_761) >> 16;
    words - most + random % (2 * most + 1)
}
