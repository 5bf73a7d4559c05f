use turnbench_model::{Compat, LoadPlan, Sampling};

use crate::args::{RunArgs, SamplingArg};
use crate::exit::Exit;

/// Who sends what: checked against the number of conversations.
pub(crate) fn load_plan(
    args: &RunArgs,
    compat: Compat,
    conversations_count: usize,
) -> Result<LoadPlan, Exit> {
    let conversations = conversations_count as i64;
    let clients = args.num_clients;
    if clients < 1 {
        return Err(Exit::usage(format!("--num-clients is {clients}; it must be at least 1")));
    }
    if conversations < clients {
        return Err(Exit::usage(format!(
            "--num-clients is {clients}, but the number of conversations is {conversations}; every \
             client needs one of its own\nhint: use fewer clients or more conversations"
        )));
    }
    let active = args.max_active_conversations.unwrap_or(clients);
    if active < clients || active > conversations {
        return Err(Exit::usage(format!(
            "--max-active-conversations is {active}; it must be from {clients} (--num-clients) to \
             {conversations} (all conversations)"
        )));
    }
    Ok(LoadPlan {
        num_clients: count("--num-clients", clients)?,
        max_active_conversations: count("--max-active-conversations", active)?,
        max_num_requests: max_num_requests(args)?,
        max_turns: max_turns(args)?,
        early_stop: match compat {
            Compat::Vllm => !args.no_early_stop,
            Compat::None => args.early_stop,
        },
        request_rate: request_rate(args, compat)?,
        max_retries: max_retries(args)?,
        sampling: match args.conversation_sampling {
            SamplingArg::RoundRobin => Sampling::RoundRobin,
            SamplingArg::Random => Sampling::Random,
        },
        warmup_step: args.warmup_step,
        seed: args.seed,
        compat,
    })
}

fn count(flag: &str, value: i64) -> Result<u32, Exit> {
    u32::try_from(value)
        .map_err(|_| Exit::usage(format!("{flag} is {value}; it must be at most {}", u32::MAX)))
}

fn max_num_requests(args: &RunArgs) -> Result<Option<u64>, Exit> {
    match args.max_num_requests {
        Some(requests) if requests < args.num_clients => Err(Exit::usage(format!(
            "--max-num-requests is {requests}; it must be at least {} (--num-clients), one request \
             for each client",
            args.num_clients
        ))),
        requests => Ok(requests.map(|requests| requests as u64)),
    }
}

fn max_turns(args: &RunArgs) -> Result<Option<u32>, Exit> {
    match args.max_turns {
        Some(turns) if turns < 1 => {
            Err(Exit::usage(format!("--max-turns is {turns}; it must be at least 1")))
        }
        turns => turns.map(|turns| count("--max-turns", turns)).transpose(),
    }
}

/// The reference takes a negative rate as zero.
fn request_rate(args: &RunArgs, compat: Compat) -> Result<f64, Exit> {
    let rate = args.request_rate;
    if rate.is_finite() && rate >= 0.0 {
        Ok(rate)
    } else if compat == Compat::Vllm && rate < 0.0 {
        Ok(0.0)
    } else {
        Err(Exit::usage(format!(
            "--request-rate is {rate}; it must be 0 (no pause) or a positive number per second"
        )))
    }
}

fn max_retries(args: &RunArgs) -> Result<u32, Exit> {
    const MOST: i64 = 100;
    if (0..=MOST).contains(&args.max_retries) {
        Ok(args.max_retries as u32)
    } else {
        Err(Exit::usage(format!(
            "--max-retries (or MULTITURN_BENCH_MAX_RETRIES) is {}; it must be from 0 to {MOST}",
            args.max_retries
        )))
    }
}
