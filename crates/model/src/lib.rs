//! The nouns of turnbench: conversations, the resolved plan, raw request records, time.
//!
//! Floor 0 of the workspace: every other crate may import it, it imports none. It holds types
//! and their serialised form only; it opens no file, no socket and starts no thread.
//!
//! ```
//! use turnbench_model::{Conversation, Message, TurnRules};
//!
//! let messages = vec![Message::new("user", "hi"), Message::new("assistant", "hello")];
//! let conversation = Conversation::new("CONV_ID_0", messages);
//! assert_eq!(conversation.turns(TurnRules::default()).len(), 1);
//! ```

mod client_facts;
mod clock;
mod conversation;
mod conversation_stats;
mod fill_plan;
mod message;
mod nanos;
mod outcome;
mod plan;
pub mod python_json;
mod record;
mod sent_blocks;
mod server;
mod stamps;
mod tiers_plan;
mod tokenizer;

pub use client_facts::{OpenedConnection, ShardFacts};
pub use clock::{Clock, ManualClock, MonotonicClock};
pub use conversation::{Conversation, Parent, RecordedTurn, TurnRules, TurnSpan};
pub use conversation_stats::ConversationStats;
pub use fill_plan::{FillPlan, FillSource};
pub use message::{Content, Message};
pub use nanos::Nanos;
pub use outcome::{Failure, FailureKind, Outcome};
pub use plan::{
    ClientPlan, Compat, History, HistoryReasoning, LedgerPlan, LoadPlan, MetricsPlan,
    PLAN_SCHEMA_VERSION, Plan, PromptTokens, RequestPlan, Sampling, Target, TokenizerSource,
    WorkloadPlan, WorkloadSource,
};
pub use record::{
    Answer, CachedByTier, CachedSource, CountSource, Phase, RequestRecord, ServerTimes,
    TokenCounts, Usage,
};
pub use sent_blocks::SentBlocks;
pub use server::{
    Combination, EngineReading, FIGURES, Figure, FigureDefinition, FigureFlag, FigureKind,
    FigurePoint, FigureReading, FigureUnit, HistogramGrowth, MetricsPage, MetricsSample,
    MetricsSource, SampleMoment, SampleStatistics, Scrape, ServerFigures,
};
pub use stamps::{Received, StampSource, Stamps};
pub use tiers_plan::{TIERS_PLAN_SCHEMA_VERSION, TiersPlan};
pub use tokenizer::{ChatTemplate, PromptTokenizer, Tokenizer, TokenizerError};
