use turnbench_model::LoadPlan;
use turnbench_random::{NumpyStream, PythonStream};

/// The random streams of one client, as the reference seeds them: both with seed + client + 1.
///
/// Seeds wrap instead of failing: numpy's takes 32 bits, so wider seeds that agree in the low 32
/// share their pauses and jitter. A stream that the plan cannot use is not made (each is 2.5 KB).
#[derive(Debug)]
pub(crate) struct Streams {
    /// Pauses and back-off jitter.
    pub(crate) timing: Option<Box<NumpyStream>>,
    /// Choice among open conversations.
    pub(crate) choice: Option<Box<PythonStream>>,
}

impl Streams {
    pub(crate) fn new(plan: &LoadPlan, client: u32) -> Self {
        let seed = plan.seed.wrapping_add(u64::from(client)).wrapping_add(1);
        let timed = plan.request_rate > 0.0 || plan.max_retries > 0;
        let random = plan.sampling == turnbench_model::Sampling::Random;
        Self {
            timing: timed.then(|| Box::new(NumpyStream::new(seed as u32))),
            choice: random.then(|| Box::new(PythonStream::new(i128::from(seed)))),
        }
    }

    /// A factor of 0.9..1.1; 1 without a stream.
    pub(crate) fn jitter(&mut self) -> f64 {
        self.timing.as_mut().map_or(1.0, |stream| 1.0 + stream.uniform(-0.1, 0.1))
    }
}
