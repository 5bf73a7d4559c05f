//! What a server says about itself: its pages of metrics, read into figures with one name for
//! whatever the server calls them.
//!
//! Floor 2: it reads text that was fetched elsewhere. It knows no socket, no clock and no file, and
//! knows nothing of requests; what its figures mean for a run, `metrics` computes.
//!
//! - [`text`]: the parser. Own: docs/server-metrics.md says why.
//! - `dialect/`: one file for each kind of server, a table from its names to [`Figure`]s.
//! - [`FiguresBuilder`]: samples of a run, one after another, to [`ServerFigures`].
//!
//! **Invariant:** what is not reported stays absent; nothing is estimated, no gap is filled.
//!
//! ```
//! use turnbench_model::{Figure, MetricsSample, Nanos, SampleMoment, Scrape};
//! use turnbench_observe::{FiguresBuilder, page};
//!
//! let sample = |moment, hits: u32| MetricsSample {
//!     source: "http://localhost:8000/metrics".into(),
//!     moment,
//!     at_ns: Nanos::ZERO,
//!     half_width_ns: Nanos::ZERO,
//!     scrape: Scrape::Page(
//!         page(format!("vllm:prefix_cache_hits_total{{engine=\"0\"}} {hits}").as_bytes()).unwrap(),
//!     ),
//! };
//! let mut figures = FiguresBuilder::default();
//! figures.add(&sample(SampleMoment::Before, 100));
//! figures.add(&sample(SampleMoment::After, 160));
//! assert_eq!(figures.finish().growth(Figure::PrefixCacheHits), Some(60.0));
//! ```
//!
//! [`Figure`]: turnbench_model::Figure
//! [`ServerFigures`]: turnbench_model::ServerFigures

mod builder;
mod dialect;
mod page;
mod reading;
mod series;
mod series_state;
pub mod text;
mod twins;

pub use builder::FiguresBuilder;
pub use page::{SERIES_MAX, counts_alike, page};
pub use series::SeriesName;
