use std::sync::Arc;
use std::thread;
use std::time::Duration;

use turnbench_client::run::Control;

use crate::cmd::signals::{Signals, Watch, end_at_once};
use crate::exit::Exit;

/// How long requests in flight may go on after the first Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);

/// Ctrl-C (or SIGTERM) once: sends nothing more, and cuts off after two seconds what is still in
/// flight. Twice: ends the program at once; what was recorded is on disk.
pub(crate) fn watch(control: &Arc<Control>) -> Result<Watch, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::new()?
    };
    let control = Arc::clone(control);
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = signals.next() => control.stop(),
                _ = &mut stopped => return,
            }
            say_interrupted();
            tokio::select! {
                () = signals.next() => end_at_once(),
                () = tokio::time::sleep(GRACE) => control.cut(),
                _ = &mut stopped => return,
            }
            tokio::select! {
                () = signals.next() => end_at_once(),
                _ = &mut stopped => {}
            }
        });
    })?;
    Ok(Watch::new(stop))
}

/// On a thread of its own: a terminal that stands still must not keep the next signal waiting.
fn say_interrupted() {
    let _ = thread::Builder::new().name("interrupted".to_owned()).spawn(|| {
        anstream::eprintln!(
            "interrupted: waiting up to {} s for requests in flight; again to end at once (turnbench \
             report prints what was recorded)",
            GRACE.as_secs()
        );
    });
}
