use std::sync::LazyLock;

use memchr::memmem::Finder;

/// What the last event of a stream says.
const DONE: &[u8] = b"[DONE]";

static DONE_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DONE));

/// Whether the end of a body, of which `known_len` bytes were known before, has the last event of a
/// stream; comments may follow it.
pub(crate) fn says_done(body: &[u8], known_len: usize) -> bool {
    const LOOK_BACK: usize = 256;
    // Nearly every read is ruled out by one look at its own bytes.
    let news = &body[known_len.saturating_sub(DONE.len() - 1).min(body.len())..];
    if DONE_FINDER.find(news).is_none() {
        return false;
    }
    let tail = &body[body.len().saturating_sub(LOOK_BACK)..];
    let mut lines = tail.split(|byte| matches!(byte, b'\n' | b'\r'));
    // The first piece may be the end of a line whose beginning is not in sight.
    let whole = tail.len() == body.len() || lines.next().is_some();
    whole
        && lines
            .any(|line| line.strip_prefix(b"data:").is_some_and(|data| data.trim_ascii() == DONE))
}
