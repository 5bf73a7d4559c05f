//! Which prompt to send next to find how far the levels of a server's KV cache reach, and what the answers
//! say about them: `turnbench cache tiers` without its sockets.
//!
//! Floor 2: it fills `metrics`' [`TiersReport`](turnbench_metrics::TiersReport). It sends nothing, reads
//! no clock and no file, and draws no random number but the words that follow from a seed it is given.
//!
//! - [`Prober`]: asked what to do next, told what came of it.
//! - [`prompt_text`]: the text of a prompt, which no other prompt shares the beginning of.
//! - [`tiers_report`]: what is known, at any time.
//!
//! **Invariant:** nothing is taken from what a server does inside; what counts is when prompts were
//! sent, how long they were, when their first token came, and what their answers say was cached.
//!
//! ```
//! use turnbench_model::Nanos;
//! use turnbench_staircase::{Answered, Prober, ProberOptions, Step, prompt_text};
//!
//! let options = ProberOptions {
//!     budget: Nanos::from_millis(60_000),
//!     prompt_tokens: None,
//!     capacity_tokens: Some(65_536),
//!     block_tokens: Some(16),
//!     max_prompt_tokens: Some(32_768),
//! };
//! let mut prober = Prober::new(options, Nanos::ZERO);
//! let Step::Send(ask) = prober.next(Nanos::ZERO) else { panic!("something to send") };
//! let text = prompt_text(1, ask.prompt, ask.words);
//! assert!(text.split(' ').count() > 50);
//! let answered = Answered {
//!     tokens: 80,
//!     ttft: Nanos::from_millis(12),
//!     cached_tokens: Some(0),
//!     by_tier: None,
//! };
//! prober.answered(answered, Nanos::from_millis(13));
//! assert_eq!(prober.visits().len(), 1);
//! ```

mod findings;
mod knee;
mod line;
mod prober;
mod recency;
mod report;
mod scale;
mod segments;
mod sizes;
mod text;
mod visit;

pub use prober::{Ask, Prober, ProberOptions, Step};
pub use report::{Context, tiers_report};
pub use text::prompt_text;
pub use visit::{Answered, Purpose, Visit};
