//! What a client lets pass between an answer and its next request.

use turnbench_model::Nanos;

use crate::streams::Streams;

/// The pause after an answer: exponential with mean 1/`rate` seconds; none unless `rate` > 0.
///
/// This is a closed loop: the true rate of a client stays below `rate`, since the answers take
/// their time as well.
pub(crate) fn after_answer(rate: f64, streams: &mut Streams) -> Nanos {
    match &mut streams.timing {
        Some(stream) if rate > 0.0 => Nanos::from_secs_f64(stream.exponential(1.0 / rate)),
        _ => Nanos::ZERO,
    }
}
