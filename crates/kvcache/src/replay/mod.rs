//! Accesses to blocks, one after another, and what caches of any size would have made of them.

mod found;
mod live_positions;
mod miss_curve;
mod reuse;
mod sampled;
mod stack_distances;
mod thinned;
mod tiers;
mod timeline;

pub use found::{found_tokens, found_tokens_by_tier};
pub use miss_curve::MissCurve;
pub use reuse::{RequestReuse, Reuse, reuse};
pub use sampled::{Estimate, SampledCurve};
pub use stack_distances::StackDistances;
pub use thinned::{Thinned, looked_up, thinned_error};
pub use tiers::{Inclusion, Tiers};
pub use timeline::CacheRequest;
