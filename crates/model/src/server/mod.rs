//! What a server says about itself while a run goes: pages of metrics as they came, and the figures
//! read from them.

mod figure;
mod figures;
mod sample;

pub use figure::{Combination, FIGURES, Figure, FigureDefinition, FigureKind, FigureUnit};
pub use figures::{
    EngineReading, FigureFlag, FigurePoint, FigureReading, HistogramGrowth, MetricsSource,
    SampleStatistics, ServerFigures,
};
pub use sample::{MetricsPage, MetricsSample, SampleMoment, Scrape};
