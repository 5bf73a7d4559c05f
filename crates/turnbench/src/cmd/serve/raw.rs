use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use turnbench_model::{MonotonicClock, Nanos};
use turnbench_simserver::raw::{RawOptions, RawServer};

use super::{NANOS_PER_MILLI, with_flags};
use crate::args::ServeArgs;
use crate::cmd::file_limit;
use crate::cmd::signals::Signals;
use crate::exit::{Exit, ExitCode};

/// `turnbench serve --raw-speed`.
pub(crate) fn serve(args: &ServeArgs) -> Result<ExitCode, Exit> {
    let options = options(args)?;
    file_limit::raise();
    let name = options.served_model_name.clone();
    let clock = Arc::new(MonotonicClock::start());
    let server = RawServer::bind(SocketAddr::new(args.host, args.port), options, clock)
        .map_err(|error| with_flags(&error))?;
    let address = server.local_addr();
    stop_on_signal(&server)?;
    // Said only now, so that whoever reads it may send a signal.
    anstream::eprintln!("raw server for model '{name}' on http://{address}; Ctrl-C stops it");
    server.run()?;
    Ok(ExitCode::Done)
}

/// A thread of its own waits for Ctrl-C: the server's has no runtime.
fn stop_on_signal(server: &RawServer) -> Result<(), Exit> {
    let stop = server.stopper();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::new()?
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(signals.next());
        stop.stop();
    })?;
    Ok(())
}

fn options(args: &ServeArgs) -> Result<RawOptions, Exit> {
    let raw = &args.raw;
    let pause = |flag: &str, millis: f64| {
        if millis.is_finite() && millis >= 0.0 {
            Ok(Nanos((millis * NANOS_PER_MILLI).round() as u64))
        } else {
            Err(Exit::usage(format!(
                "{flag} is {millis}; it must be from 0 to 3600000 milliseconds"
            )))
        }
    };
    let options = RawOptions {
        served_model_name: args.served_model_name.clone().unwrap_or_else(|| args.model.clone()),
        tokens: raw.raw_tokens,
        events_per_write: raw.events_per_write,
        ttft: pause("--ttft-ms", raw.ttft_ms)?,
        itl: pause("--itl-ms", raw.itl_ms)?,
        truth: args.truth.clone(),
        ..RawOptions::default()
    };
    options.validate().map_err(|error| with_flags(&error))?;
    Ok(options)
}
