use std::io;
use std::sync::mpsc;
use std::thread::{self, Builder, ScopedJoinHandle};

/// Has every worker do `work`, each on a thread of its own; gives what became of them, in their order:
/// `None` for a thread that panicked.
///
/// # Errors
/// When a thread cannot be made. Nobody has begun then: they begin when all threads are there.
pub(crate) fn on_threads<W: Send, T: Send>(
    workers: Vec<W>,
    thread_of: impl Fn(&W) -> Builder,
    work: impl Fn(&mut W) -> T + Sync,
) -> io::Result<Vec<Option<(W, T)>>> {
    let work = &work;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for mut worker in workers {
            let (go, told) = mpsc::channel();
            let thread = thread_of(&worker).spawn_scoped(scope, move || {
                // Not told to go: another thread could not be made.
                told.recv().ok().map(|()| {
                    let done = work(&mut worker);
                    (worker, done)
                })
            })?;
            threads.push((go, thread));
        }
        for (go, _) in &threads {
            // Fails only if the thread is gone, which it says itself.
            let _ = go.send(());
        }
        let ended = |(_, thread): (_, ScopedJoinHandle<'_, _>)| thread.join().ok().flatten();
        Ok(threads.into_iter().map(ended).collect())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread::Builder;

    use super::on_threads;

    #[test]
    fn nobody_begins_unless_every_thread_is_there() {
        let begun = AtomicU32::new(0);
        let work = |worker: &mut u32| begun.fetch_add(*worker, Ordering::SeqCst);
        // No machine has room for such a stack.
        let thread_of = |worker: &u32| match worker {
            3 => Builder::new().stack_size(usize::MAX / 4),
            _ => Builder::new(),
        };
        assert!(on_threads(vec![1, 2, 3], thread_of, work).is_err());
        assert_eq!(begun.load(Ordering::SeqCst), 0);
        assert_eq!(on_threads(vec![1, 2], thread_of, work).unwrap().len(), 2);
        assert_eq!(begun.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_panic_costs_only_its_own_worker() {
        let done = on_threads(
            vec![1, 2, 3],
            |_| Builder::new(),
            |worker| {
                assert_ne!(*worker, 2, "provoked");
                *worker * 10
            },
        );
        assert_eq!(done.unwrap(), [Some((1, 10)), None, Some((3, 30))]);
    }
}
